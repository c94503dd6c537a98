"""One class for each example: accuracy, precision, recall, F1, Matthews' correlation, confusion matrix.

The figures are scikit-learn's; the same figures as functions of the confusion matrix serve the resampling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_labels, check_pairs
from hanmo.metrics.per_example import PerExample, mean_of

__all__ = [
    "ClassScores",
    "ClassificationScores",
    "averaged_scores",
    "classification_examples",
    "classification_scores",
    "confusion_of",
    "scores_by_class",
]

ClassificationMetric = Literal["accuracy", "macro_f1", "weighted_f1", "mcc"]


@dataclass(frozen=True)
class ClassScores:
    """How well one class, or an average of them, was found."""

    precision: float
    """Share of the predictions of this class that are right, 0..1; 0 where it was never predicted."""
    recall: float
    """Share of the examples of this class that were found, 0..1; 0 where the references have none."""
    f1: float
    """Harmonic mean of the two, 0..1."""
    support: int
    """Examples of this class in the references."""


@dataclass(frozen=True)
class ClassificationScores:
    """All figures of a classifier on one test set."""

    n: int
    """Number of examples."""
    accuracy: float
    """Share of the examples with the right class, 0..1."""
    micro: ClassScores
    """Over all decisions together: with one class for each example, all three are the accuracy."""
    macro: ClassScores
    """Plain mean over the classes that occur in the references or the predictions."""
    weighted: ClassScores
    """Mean over the classes, weighted by support."""
    mcc: float
    """Matthews' correlation coefficient over all classes (Gorodkin, 2004), −1..1; 0 for a constant prediction."""
    per_class: dict[str | int, ClassScores]
    """Class → its scores."""
    labels: tuple[str | int, ...]
    """Order of the rows and columns of `confusion`."""
    confusion: NDArray[np.int64]
    """Rows are references, columns predictions, (C, C); with classes that were only predicted."""


def _codes(
    predictions: Iterable[Any], references: Iterable[Any], labels: Sequence[str | int] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str | int, ...]]:
    """Both lists as positions in the list of labels, and that list."""
    predicted, expected = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(predicted, expected)
    check_labels(predicted, "predictions")
    check_labels(expected, "references")
    if isinstance(predicted[0], str) is not isinstance(expected[0], str):
        raise DataError(
            f"predictions are of type {type(predicted[0]).__name__}, references of type {type(expected[0]).__name__}",
            where="predictions[0]",
            remedy="Map the predicted numbers to the names of their classes first.",
        )
    if labels is None:
        order: tuple[Any, ...] = tuple(sorted({*predicted, *expected}))
    else:
        order = tuple(as_list(labels, "labels"))
        check_labels(order, "labels")
        if len(set(order)) < len(order):
            raise ConfigError("a label is listed twice", where="labels")
    place = {label: position for position, label in enumerate(order)}
    for name, given in (("predictions", predicted), ("references", expected)):
        for position, label in enumerate(given):
            if label not in place:
                raise DataError(
                    f"the label {label!r} is not among the labels {list(order)[:10]}",
                    where=f"{name}[{position}]",
                    remedy="Add it to labels, or leave labels out to take all that occur.",
                )
    return np.array([place[x] for x in predicted]), np.array([place[x] for x in expected]), order


def confusion_of(predictions: NDArray[np.int64], references: NDArray[np.int64], n_labels: int) -> NDArray[np.int64]:
    """How often reference i met prediction j, (C, C), from two arrays of positions, (N,)."""
    return np.bincount(references * n_labels + predictions, minlength=n_labels**2).reshape(n_labels, n_labels)


def averaged_scores(
    predictions: NDArray[np.int64], references: NDArray[np.int64], classes: NDArray[np.int64], average: str
) -> ClassScores:
    """Scores of several classes as one: "micro", "macro" or "weighted"; codes, (N,), or 0/1 indicators, (N, C)."""
    from sklearn.metrics import precision_recall_fscore_support

    never: Any = 0  # what scikit-learn takes here is wider than its types say
    precision, recall, f1, _ = precision_recall_fscore_support(
        references, predictions, labels=classes, average=average, zero_division=never
    )
    support = int(references.sum()) if references.ndim == 2 else len(references)
    return ClassScores(float(precision), float(recall), float(f1), support)


def scores_by_class(
    predictions: NDArray[np.int64], references: NDArray[np.int64], labels: Sequence[str | int]
) -> dict[str | int, ClassScores]:
    """Scores of each class; codes, (N,), or 0/1 indicators, (N, C)."""
    from sklearn.metrics import precision_recall_fscore_support

    never: Any = 0
    columns: Any = precision_recall_fscore_support(
        references, predictions, labels=np.arange(len(labels)), average=None, zero_division=never
    )
    return {
        label: ClassScores(float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    }


def classification_scores(
    predictions: Iterable[str | int], references: Iterable[str | int], *, labels: Sequence[str | int] | None = None
) -> ClassificationScores:
    """All figures of a classifier.

    Args:
        predictions: one class for each example, (N,), all texts or all whole numbers.
        references: the right classes, (N,).
        labels: order of the confusion matrix, and classes that belong into it although they do not occur; None
            takes those that occur, sorted.

    Raises:
        DataError: for lists of different lengths, empty ones, values that are no labels, labels outside `labels`.
    """
    predicted, expected, order = _codes(predictions, references, labels)
    confusion = confusion_of(predicted, expected, len(order))
    seen = np.flatnonzero(confusion.sum(axis=0) + confusion.sum(axis=1))

    accuracy = float(np.mean(predicted == expected))
    return ClassificationScores(
        n=len(expected),
        accuracy=accuracy,
        micro=ClassScores(accuracy, accuracy, accuracy, len(expected)),
        macro=averaged_scores(predicted, expected, seen, "macro"),
        weighted=averaged_scores(predicted, expected, seen, "weighted"),
        mcc=_mcc(confusion),
        per_class=scores_by_class(predicted, expected, order),
        labels=order,
        confusion=confusion,
    )


def _f1_per_class(confusion: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """F1 of each class, its support, and how often it was predicted or right, (C,) each."""
    support = confusion.sum(axis=1)
    both = support + confusion.sum(axis=0)
    f1 = np.divide(2.0 * confusion.diagonal(), both, out=np.zeros(len(confusion)), where=both > 0)
    return f1, support, both


def _macro_f1(confusion: NDArray[np.int64]) -> float:
    f1, _, both = _f1_per_class(confusion)
    return float(f1[both > 0].mean())


def _weighted_f1(confusion: NDArray[np.int64]) -> float:
    f1, support, _ = _f1_per_class(confusion)
    return float(f1 @ support / support.sum())


def _mcc(confusion: NDArray[np.int64]) -> float:
    """Gorodkin (2004), equation 8."""
    counts = confusion.astype(np.float64)
    rows, columns, n = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    spread = (n * n - rows @ rows) * (n * n - columns @ columns)
    return float((counts.trace() * n - rows @ columns) / np.sqrt(spread)) if spread > 0 else 0.0


_FROM_CONFUSION = {"macro_f1": _macro_f1, "weighted_f1": _weighted_f1, "mcc": _mcc}


def classification_examples(
    metric: ClassificationMetric,
    predictions: Iterable[str | int],
    references: Iterable[str | int],
    *,
    labels: Sequence[str | int] | None = None,
) -> PerExample:
    """One figure of a classifier in the form that intervals and paired tests take.

    Args:
        metric: "accuracy", "macro_f1", "weighted_f1" or "mcc".
        predictions: one class for each example, (N,).
        references: the right classes, (N,).
        labels: see `classification_scores`; two systems that are compared need the same.

    Raises:
        ConfigError: for an unknown metric.
        DataError: as `classification_scores`.
    """
    predicted, expected, order = _codes(predictions, references, labels)
    if metric == "accuracy":
        return mean_of(predicted == expected, "accuracy")
    if metric not in _FROM_CONFUSION:
        raise ConfigError(f"unknown metric {metric!r}", where="metric", remedy=f"Choose {', '.join(_FROM_CONFUSION)}.")
    from_confusion, n_labels = _FROM_CONFUSION[metric], len(order)

    def score(rows: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(from_confusion(confusion_of(rows[:, 0], rows[:, 1], n_labels)))

    return PerExample(metric, np.stack([predicted, expected], axis=1), score, additive=False)
