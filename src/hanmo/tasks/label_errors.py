"""Which labels are probably wrong: confident learning (Northcutt, Jiang & Chuang, 2021, §3).

N examples, C classes. Probabilities have to be out of sample: of a model that did not learn from the example.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import DataError

__all__ = ["Suspect", "class_thresholds", "confident_classes", "confident_joint", "estimated_joint", "find_suspects"]

_NONE = -1


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label to look at."""

    index: int
    """Of the example."""
    suggested: int
    """The class that the model is confident of."""
    margin: float
    """Probability of the label minus that of the suggestion: the lower, the surer the error."""


def class_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How sure the model is of each class on average where it is the label, (C,) (eq. 2); infinite for a class that is no
    label.

    Args:
        probabilities: (N, C).
        labels: (N,) int.
    """
    n_classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=n_classes)
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], minlength=n_classes)
    return np.where(counts > 0, own / np.maximum(counts, 1), np.inf)


def confident_classes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The most probable of the classes that reach their threshold, (N,); -1 where none does (eq. 1)."""
    sure = probabilities >= class_thresholds(probabilities, labels)
    best = np.where(sure, probabilities, -np.inf).argmax(1)
    return np.where(sure.any(1), best, _NONE)


def confident_joint(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many examples have label i and are confidently of class j, (C, C) (eq. 1)."""
    n_classes = probabilities.shape[1]
    classes = confident_classes(probabilities, labels)
    counted = classes != _NONE
    joint = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(joint, (labels[counted], classes[counted]), 1)
    return joint


def estimated_joint(joint: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Estimated share of all examples that have label i and are of class j, (C, C) (eq. 3): the rows of the confident joint
    in proportion to how often each label is given."""
    counts = np.bincount(labels, minlength=len(joint)).astype(float)
    rows = joint.sum(1, keepdims=True)
    # a label that no example has confidently says nothing about errors: taken as right
    shares = np.where(rows > 0, joint / np.maximum(rows, 1), np.eye(len(joint)))
    scaled = shares * counts[:, None]
    return scaled / scaled.sum()


def find_suspects(probabilities: np.ndarray, labels: np.ndarray) -> list[Suspect]:
    """Pruning by noise rate (§3.2, method 4): of the examples with label i as many as the estimated joint says are of class
    j, those with the lowest margin between the two; the surest first.

    An example that is found for two classes is found for that of the lower margin; one whose label the model finds at least
    as probable is no suspect, whatever the estimate.

    Raises:
        DataError: for labels and probabilities that do not fit each other.
    """
    if probabilities.ndim != 2 or len(labels) != len(probabilities) or not len(labels):
        raise DataError(f"probabilities {probabilities.shape} and labels {labels.shape} do not fit each other")
    numbers = np.rint(len(labels) * estimated_joint(confident_joint(probabilities, labels), labels)).astype(np.int64)
    found: dict[int, Suspect] = {}
    for label, other in np.argwhere(numbers > 0).tolist():
        if label == other:
            continue
        rows = np.flatnonzero(labels == label)
        margins = probabilities[rows, label] - probabilities[rows, other]
        for at in np.argsort(margins, kind="stable")[: numbers[label, other]]:
            row, margin = int(rows[at]), float(margins[at])
            if margin < 0 and (row not in found or margin < found[row].margin):
                found[row] = Suspect(row, other, margin)
    return sorted(found.values(), key=lambda one: (one.margin, one.index))
