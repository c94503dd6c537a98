"""Numbers against numbers: correlations for similarity and regression, quadratic weighted kappa for grades."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_labels, check_numbers, check_pairs
from hanmo.metrics.classification import confusion_of
from hanmo.metrics.per_example import PerExample, mean_of

__all__ = [
    "RegressionScores",
    "quadratic_kappa",
    "quadratic_kappa_examples",
    "regression_examples",
    "regression_scores",
]


@dataclass(frozen=True)
class RegressionScores:
    """All figures of predicted numbers against the right ones."""

    n: int
    """Number of examples."""
    pearson: float
    """Linear correlation, −1..1; 0 for constant predictions, which say nothing."""
    spearman: float
    """Correlation of the ranks, ties sharing their mean rank, −1..1; 0 for constant predictions."""
    mean_squared_error: float
    """Mean of the squared differences, in squared units of the references."""
    mean_absolute_error: float
    """Mean of the absolute differences, in units of the references."""


def _numbers(predictions: Iterable[Any], references: Iterable[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    predicted, expected = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(predicted, expected)
    y, x = check_numbers(predicted, "predictions"), check_numbers(expected, "references")
    if np.ptp(x) == 0:
        raise DataError(
            f"all {len(x)} references are {x[0]:g}: nothing can correlate with them",
            where="references",
            remedy="Give references that differ.",
        )
    return y, x


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Correlation; 0 where a side is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    # scaled by the largest deviation first: squares of tiny or huge numbers leave the range of floats
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 1 for the lowest, ties sharing their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[place]


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return _pearson(_ranks(x), _ranks(y))


def regression_scores(predictions: Iterable[float], references: Iterable[float]) -> RegressionScores:
    """Correlations and errors of predicted numbers.

    Args:
        predictions: one number for each example, (N,).
        references: the right numbers, (N,).

    Raises:
        DataError: for lists of different lengths, empty ones, NaN or infinite values, references that are all equal.
    """
    y, x = _numbers(predictions, references)
    return RegressionScores(
        len(x), _pearson(x, y), _spearman(x, y), float(np.mean((x - y) ** 2)), float(np.mean(np.abs(x - y)))
    )


def regression_examples(
    metric: Literal["pearson", "spearman", "mean_squared_error", "mean_absolute_error"],
    predictions: Iterable[float],
    references: Iterable[float],
) -> PerExample:
    """One figure in the form that intervals and paired tests take; other arguments as `regression_scores`."""
    functions = {"pearson": _pearson, "spearman": _spearman}
    y, x = _numbers(predictions, references)
    match metric:
        case "mean_squared_error":
            return mean_of((x - y) ** 2, metric)
        case "mean_absolute_error":
            return mean_of(np.abs(x - y), metric)
    if metric not in functions:
        raise ConfigError(
            f"unknown metric {metric!r}", where="metric",
            remedy="Choose pearson, spearman, mean_squared_error or mean_absolute_error.",
        )  # fmt: skip

    def score(rows: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(functions[metric](rows[:, 1], rows[:, 0]))

    return PerExample(metric, np.stack([y, x], axis=1), score, additive=False)


def _grades(
    predictions: Iterable[Any], references: Iterable[Any], low: int | None, high: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    predicted, expected = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(predicted, expected)
    for name, grades in (("predictions", predicted), ("references", expected)):
        check_labels(grades, name)
        if isinstance(grades[0], str):
            raise DataError(
                f"{grades[0]!r} is not a whole number", where=f"{name}[0]", remedy="Give grades as whole numbers."
            )
    y, x = np.array(predicted, dtype=np.int64), np.array(expected, dtype=np.int64)
    first = int(min(y.min(), x.min())) if low is None else low
    last = int(max(y.max(), x.max())) if high is None else high
    for name, grades in (("predictions", y), ("references", x)):
        outside = np.flatnonzero((grades < first) | (grades > last))
        if len(outside):
            raise DataError(
                f"the grade {grades[outside[0]]} is outside {first}..{last}",
                where=f"{name}[{outside[0]}]",
                remedy="Round and clip predictions to the scale, or widen low and high.",
            )
    return y, x, first, last


def _kappa(confusion: NDArray[np.int64]) -> float:
    """Cohen (1968) with squared distances; all on one and the same grade is full agreement."""
    steps = np.arange(len(confusion))
    distances = (steps[:, None] - steps) ** 2
    by_chance = np.outer(confusion.sum(axis=1), confusion.sum(axis=0)) / confusion.sum()
    expected = float((distances * by_chance).sum())
    return 1.0 - float((distances * confusion).sum()) / expected if expected > 0 else 1.0


def quadratic_kappa(
    predictions: Iterable[int], references: Iterable[int], *, low: int | None = None, high: int | None = None
) -> float:
    """Agreement of two gradings beyond chance, −1..1, an error counting by its squared distance (Cohen, 1968).

    Distances are taken on the scale, not among the grades that happen to occur: 1 and 3 are two apart although
    nobody got a 2.

    Args:
        predictions: one grade for each example, whole numbers, (N,).
        references: the right grades, (N,).
        low: lowest grade of the scale; None takes the lowest that occurs.
        high: highest grade of the scale; None takes the highest that occurs.

    Raises:
        DataError: for lists of different lengths, empty ones, grades that are no whole numbers or off the scale.
    """
    return quadratic_kappa_examples(predictions, references, low=low, high=high).value


def quadratic_kappa_examples(
    predictions: Iterable[int], references: Iterable[int], *, low: int | None = None, high: int | None = None
) -> PerExample:
    """Quadratic weighted kappa in the form that intervals and paired tests take; arguments as `quadratic_kappa`."""
    y, x, first, last = _grades(predictions, references, low, high)
    n_grades = last - first + 1

    def score(rows: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(_kappa(confusion_of(rows[:, 0], rows[:, 1], n_grades)))

    return PerExample("quadratic_kappa", np.stack([y - first, x - first], axis=1), score, additive=False)
