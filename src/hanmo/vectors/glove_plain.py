"""GloVe in plain numpy: what the compiled kernels are tested against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.glove_settings import Sides

__all__ = ["Weights", "count_plain", "gradients", "losses", "train_plain", "weight"]


def count_plain(text: WordIds, window: int, sides: Sides = "both") -> np.ndarray:
    """X of Pennington et al. (2014, §3), (V, V) float64: how often column stands near row, 1/d at a distance of d."""
    counts = np.zeros((len(text.words), len(text.words)))
    ids, start = text.ids.tolist(), 0
    for end in text.ends.tolist():
        for i in range(start, end):
            for j in range(max(start, i - window), min(end, i + window + 1)):
                wanted = {"both": i != j, "left": j < i, "right": j > i}[sides]
                if wanted and ids[i] >= 0 and ids[j] >= 0:
                    counts[ids[i], ids[j]] += 1 / abs(i - j)
        start = end
    return counts


def weight(x: np.ndarray, x_max: float, alpha: float) -> np.ndarray:
    """f(X): how much a co-occurrence matters (eq. 9)."""
    return np.minimum(x / x_max, 1.0) ** alpha


@dataclass
class Weights:
    """Vectors and biases of words and of contexts."""

    x: np.ndarray
    """w, (V, D)."""
    y: np.ndarray
    """w̃, (V, D)."""
    x_biases: np.ndarray
    """b, (V,)."""
    y_biases: np.ndarray
    """b̃, (V,)."""

    def parts(self) -> tuple[np.ndarray, ...]:
        """All of them."""
        return self.x, self.y, self.x_biases, self.y_biases


def _errors(weights: Weights, counts: np.ndarray) -> np.ndarray:
    scores = weights.x @ weights.y.T + weights.x_biases[:, None] + weights.y_biases
    return np.where(counts > 0, scores - np.log(np.where(counts > 0, counts, 1.0)), 0.0)


def losses(weights: Weights, counts: np.ndarray, x_max: float, alpha: float) -> np.ndarray:
    """Half of each term of eq. 8, as its authors' program reports it: ½ f(X) (w·w̃ + b + b̃ - log X)², (V, V)."""
    return 0.5 * weight(counts, x_max, alpha) * _errors(weights, counts) ** 2


def gradients(weights: Weights, counts: np.ndarray, x_max: float, alpha: float) -> Weights:
    """Derivatives of the sum of `losses`."""
    slopes = weight(counts, x_max, alpha) * _errors(weights, counts)
    return Weights(slopes @ weights.y, slopes.T @ weights.x, slopes.sum(1), slopes.sum(0))


def train_plain(
    weights: Weights, squares: Weights, records: Iterable[tuple[int, int, float, float]], lr: float
) -> float:
    """Learn from co-occurrences in this order by AdaGrad (Duchi et al., 2011); the sum of their losses before each.

    As in the authors' program, squares are those of lr times the gradient and start at 1, and biases move at a rate of 1.

    Args:
        weights: is changed.
        squares: sums of squares; is changed.
        records: row, column, log X and f(X) of each.
        lr: learning rate.
    """
    loss = 0.0
    for i, j, log_x, share in records:
        error = weights.x[i] @ weights.y[j] + weights.x_biases[i] + weights.y_biases[j] - log_x
        slope = share * error
        loss += 0.5 * slope * error
        changes = (lr * slope * weights.y[j], lr * slope * weights.x[i], slope, slope)
        for part, sums, row, change in zip(weights.parts(), squares.parts(), (i, j, i, j), changes, strict=True):
            part[row] -= change / np.sqrt(sums[row])
            sums[row] += change**2
    return loss
