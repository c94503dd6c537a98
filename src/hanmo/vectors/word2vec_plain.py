"""word2vec as it is written in the papers: losses, gradients and one step, in numpy. The compiled form is tested by it.

n inputs, m outputs, D dimensions.
"""

from __future__ import annotations

import numpy as np

__all__ = ["loss", "mean_step", "output_errors", "step"]


def loss(inputs: np.ndarray, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    """-sum of w log sigmoid(+-x . y) over all pairs of an input and an output.

    With one output of label 1 and `negative` of label 0 this is negative sampling (Mikolov et al., 2013b, eq. 4); with
    the inner nodes on the way to a word, label 1 where the path turns left, hierarchical softmax (eq. 3).

    Args:
        inputs: x, (n, D).
        outputs: y, (m, D).
        labels: 1 or 0, (m,).
        weights: of the outputs, (m,).
    """
    signs = np.where(labels > 0, 1.0, -1.0)
    return float((weights * np.logaddexp(0, -signs * (inputs @ outputs.T))).sum())


def output_errors(inputs: np.ndarray, outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """-dloss/d(x . y) = w (label - sigmoid(x . y)), (n, m); -dloss/dx = errors @ y, -dloss/dy = errors.T @ x."""
    return weights * (labels - 1 / (1 + np.exp(-(inputs @ outputs.T))))


def step(
    x: np.ndarray, y: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, labels: np.ndarray, rates: np.ndarray
) -> None:
    """One step of gradient descent for one position, in place.

    Args:
        x: input vectors, (V, D).
        y: output vectors, (W, D).
        inputs: rows of x, (n,).
        outputs: rows of y, (m,).
        labels: 1 or 0, (m,).
        rates: learning rate times weight of each output, (m,).
    """
    errors = output_errors(x[inputs], y[outputs], labels, rates)
    change_x, change_y = errors @ y[outputs], errors.T @ x[inputs]
    np.add.at(x, inputs, change_x)
    np.add.at(y, outputs, change_y)


def mean_step(
    x: np.ndarray, y: np.ndarray, inputs: np.ndarray, outputs: np.ndarray, labels: np.ndarray, rates: np.ndarray
) -> None:
    """As `step`, for the mean of the inputs (CBOW; sub-words), each of which takes the whole change of the mean.

    That is the gradient, 1/n of it, at n times the learning rate: the mean moves as far as one input of skip-gram does,
    however many make it up. word2vec.c and fastText do so too.
    """
    mean = x[inputs].mean(axis=0, keepdims=True)
    errors = output_errors(mean, y[outputs], labels, rates)
    change_x, change_y = errors @ y[outputs], errors.T @ mean
    np.add.at(x, inputs, np.repeat(change_x, len(inputs), axis=0))
    np.add.at(y, outputs, change_y)
