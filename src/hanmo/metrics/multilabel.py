"""Any number of classes for each example (topics of a news item): F1 in its averages, subset accuracy, Hamming loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_labels, check_pairs
from hanmo.metrics.classification import ClassScores, averaged_scores, scores_by_class
from hanmo.metrics.per_example import PerExample, f1_of_sums, macro_f1_of_sums, mean_of

__all__ = ["MultiLabelScores", "multilabel_examples", "multilabel_scores"]

MultiLabelMetric = Literal["micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"]


@dataclass(frozen=True)
class MultiLabelScores:
    """All figures of a multi-label classifier on one test set."""

    n: int
    """Number of examples."""
    micro: ClassScores
    """Over all (example, class) decisions together."""
    macro: ClassScores
    """Plain mean over the classes that occur in the references or the predictions."""
    subset_accuracy: float
    """Share of the examples with exactly the right set of classes, 0..1."""
    hamming_loss: float
    """Share of wrong (example, class) decisions, 0..1; 0 is best."""
    per_class: dict[str | int, ClassScores]
    """Class → its scores."""


def _indicators(
    predictions: Iterable[Iterable[Any]], references: Iterable[Iterable[Any]], labels: Sequence[str | int] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str | int, ...]]:
    """Both lists as 0/1 matrices, (N, C), and the classes of the columns."""
    sets: list[list[set[Any]]] = []
    for name, given in (("predictions", predictions), ("references", references)):
        examples = as_list(given, name)
        sets.append([])
        for position, classes in enumerate(examples):
            if isinstance(classes, str) or not isinstance(classes, Iterable):
                raise DataError(
                    f"{classes!r} is one label, not a collection of labels",
                    where=f"{name}[{position}]",
                    remedy="Give a list or set for each example, an empty one where no class fits.",
                )
            members = list(classes)
            check_labels(members, f"{name}[{position}]")
            sets[-1].append(set(members))
    predicted, expected = sets
    check_pairs(predicted, expected)
    seen = set().union(*predicted, *expected)
    check_labels(list(seen), "labels")
    order: tuple[Any, ...] = tuple(sorted(seen)) if labels is None else tuple(as_list(labels, "labels"))
    if not order:
        raise DataError("no example has any label, neither predicted nor right", where="references")
    place = {label: position for position, label in enumerate(order)}
    matrices = []
    for name, examples in (("predictions", predicted), ("references", expected)):
        matrix = np.zeros((len(examples), len(order)), dtype=np.int64)
        for row, classes in enumerate(examples):
            for label in classes:
                if label not in place:
                    raise DataError(
                        f"the label {label!r} is not among the labels {list(order)[:10]}",
                        where=f"{name}[{row}]",
                        remedy="Add it to labels, or leave labels out to take all that occur.",
                    )
                matrix[row, place[label]] = 1
        matrices.append(matrix)
    return matrices[0], matrices[1], order


def multilabel_scores(
    predictions: Iterable[Iterable[str | int]],
    references: Iterable[Iterable[str | int]],
    *,
    labels: Sequence[str | int] | None = None,
) -> MultiLabelScores:
    """All figures of a multi-label classifier.

    Args:
        predictions: a collection of classes for each example, (N,).
        references: the right classes of each example, (N,).
        labels: the classes; None takes those that occur, sorted. Hamming loss counts decisions over all of them.

    Raises:
        DataError: for lists of different lengths, empty ones, a text where a collection belongs, unknown labels.
    """
    predicted, expected, order = _indicators(predictions, references, labels)
    occurs = np.flatnonzero(predicted.sum(axis=0) + expected.sum(axis=0))
    if not len(occurs):
        raise DataError("no example has any label, neither predicted nor right", where="references")

    # scikit-learn takes a single column for the two classes 0 and 1; an empty one beside it changes no score
    wide_predicted, wide_expected = (np.pad(matrix, ((0, 0), (0, 1))) for matrix in (predicted, expected))
    return MultiLabelScores(
        n=len(expected),
        micro=averaged_scores(wide_predicted, wide_expected, occurs, "micro"),
        macro=averaged_scores(wide_predicted, wide_expected, occurs, "macro"),
        subset_accuracy=float((predicted == expected).all(axis=1).mean()),
        hamming_loss=float((predicted != expected).mean()),
        per_class=scores_by_class(wide_predicted, wide_expected, order),
    )


def multilabel_examples(
    predictions: Iterable[Iterable[str | int]],
    references: Iterable[Iterable[str | int]],
    *,
    labels: Sequence[str | int] | None = None,
    metric: MultiLabelMetric = "micro_f1",
) -> PerExample:
    """One figure in the form that intervals and paired tests take; other arguments as `multilabel_scores`.

    Args:
        metric: "micro_f1", "macro_f1", "subset_accuracy" or "hamming_loss".

    Raises:
        ConfigError: for an unknown metric.
    """
    predicted, expected, _ = _indicators(predictions, references, labels)
    match metric:
        case "micro_f1":
            counts = [(predicted & expected).sum(axis=1), predicted.sum(axis=1), expected.sum(axis=1)]
            return PerExample(metric, np.stack(counts, axis=1), f1_of_sums)
        case "macro_f1":
            return PerExample(metric, np.hstack([predicted & expected, predicted, expected]), macro_f1_of_sums)
        case "subset_accuracy":
            return mean_of((predicted == expected).all(axis=1), metric)
        case "hamming_loss":
            return mean_of((predicted != expected).mean(axis=1), metric)
    raise ConfigError(
        f"unknown metric {metric!r}", where="metric",
        remedy="Choose micro_f1, macro_f1, subset_accuracy or hamming_loss.",
    )  # fmt: skip
