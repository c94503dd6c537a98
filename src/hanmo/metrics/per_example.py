"""What a metric needs of each example, kept so that the metric can be computed again on any sample of them.

Intervals and tests (`intervals`, `significance`) draw examples again and again; tokenizing and matching happen once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import DataError
from hanmo.metrics.checks import as_list, check_numbers

__all__ = ["PerExample", "f1_of_sums", "macro_f1_of_sums", "mean_of", "ratio_of_sums"]


@dataclass(frozen=True)
class PerExample:
    """One row for each example, and the metric as a function of the rows."""

    name: str
    """The metric, as a report prints it."""
    rows: NDArray[Any]
    """Counts, values or codes, (N, K)."""
    score: Callable[[NDArray[Any]], NDArray[np.float64]]
    """If `additive`: sums of rows, (R, K) → one score for each of R samples, (R,). Else: rows, (N, K) → one score."""
    additive: bool = True
    """Whether the sum over the examples is all that the metric needs; such metrics are resampled as matrix products."""

    def __post_init__(self) -> None:
        if self.rows.ndim != 2:
            raise DataError(f"rows must have two dimensions, got the shape {self.rows.shape}", where=self.name)
        if not len(self.rows):
            raise DataError("there are no examples to score", where=self.name)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def value(self) -> float:
        """The metric over all examples."""
        if self.additive:
            return float(self.score(self.rows.sum(axis=0, keepdims=True))[0])
        return float(self.score(self.rows))


def ratio_of_sums(sums: NDArray[Any]) -> NDArray[np.float64]:
    """The first column by the second, (R, 2) → (R,); 0 where the second is 0."""
    above, below = np.asarray(sums, dtype=np.float64).T
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def mean_of(values: Sequence[float] | NDArray[Any], name: str = "mean") -> PerExample:
    """The mean of one value for each example: accuracy, exact match, reciprocal rank.

    Raises:
        DataError: for a value that is not a finite number, or none at all.
    """
    column = check_numbers(as_list(values, name), name)
    return PerExample(name, np.stack([column, np.ones_like(column)], axis=1), ratio_of_sums)


def f1_of_sums(sums: NDArray[Any]) -> NDArray[np.float64]:
    """F1 from (correct, predicted, in the reference), (R, 3) → (R,), 0..1; 0 where nothing is predicted or asked for."""
    both = np.asarray(sums[:, 1] + sums[:, 2], dtype=np.float64)
    return np.divide(2.0 * sums[:, 0], both, out=np.zeros_like(both), where=both > 0)


def macro_f1_of_sums(sums: NDArray[Any]) -> NDArray[np.float64]:
    """Mean F1 over the classes that occur, (R, 3 C) → (R,): correct, predicted and in the reference of each class; 0 where
    none occurs."""
    correct, *both = np.split(np.asarray(sums, dtype=np.float64), 3, axis=1)
    total = both[0] + both[1]
    f1 = np.divide(2.0 * correct, total, out=np.zeros_like(total), where=total > 0)
    occur = np.count_nonzero(total > 0, axis=1)
    return np.divide(f1.sum(axis=1), occur, out=np.zeros(len(f1)), where=occur > 0)
