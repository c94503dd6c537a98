"""Confident learning against its equations, written out example by example."""

from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import DataError
from hanmo.tasks.label_errors import class_thresholds, confident_joint, estimated_joint, find_suspects


def drawn(seed: int, n: int = 60, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.dirichlet(np.full(c, 0.4), size=n), draw.integers(c, size=n)


@pytest.mark.parametrize("seed", range(5))
def test_against_the_equations(seed: int) -> None:
    probabilities, labels = drawn(seed)
    n, c = probabilities.shape
    thresholds = [np.mean([probabilities[x][j] for x in range(n) if labels[x] == j]) for j in range(c)]
    joint = np.zeros((c, c))
    for x in range(n):
        sure = [j for j in range(c) if probabilities[x][j] >= thresholds[j]]
        if not sure:
            continue
        j = max(sure, key=lambda j: probabilities[x][j])
        joint[labels[x]][j] += 1
    counts = [sum(labels == j) for j in range(c)]
    estimated = np.array([[joint[i][j] / sum(joint[i]) * counts[i] for j in range(c)] for i in range(c)])
    estimated = estimated / estimated.sum()
    best: dict[int, tuple[float, int]] = {}
    for i in range(c):
        for j in range(c):
            ranked = sorted((probabilities[x][i] - probabilities[x][j], x) for x in range(n) if labels[x] == i)
            for margin, x in ranked[: round(n * estimated[i][j])] if i != j else []:
                if margin < 0:
                    best[x] = min(best.get(x, (margin, j)), (margin, j))
    np.testing.assert_allclose(class_thresholds(probabilities, labels), thresholds)
    np.testing.assert_array_equal(confident_joint(probabilities, labels), joint)
    np.testing.assert_allclose(estimated_joint(confident_joint(probabilities, labels), labels), estimated)
    found = find_suspects(probabilities, labels)
    assert len(found) > 5
    assert {one.index: (one.margin, one.suggested) for one in found} == {
        x: (pytest.approx(margin), j) for x, (margin, j) in best.items()
    }
    assert [one.margin for one in found] == sorted(one.margin for one in found)


def test_an_example_by_hand() -> None:
    """Thresholds 0.7 and 0.6; the fourth example is labelled 1 and confidently of class 0."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.75, 0.25], [0.35, 0.65]])
    labels = np.array([0, 0, 1, 1, 1])
    np.testing.assert_allclose(class_thresholds(probabilities, labels), [0.7, 0.6])
    joint = confident_joint(probabilities, labels)
    assert joint.tolist() == [[1, 0], [1, 2]]
    estimated = estimated_joint(joint, labels)
    np.testing.assert_allclose(estimated, [[0.4, 0.0], [0.2, 0.4]])
    (suspect,) = find_suspects(probabilities, labels)
    assert (suspect.index, suspect.suggested) == (3, 0)
    assert suspect.margin == pytest.approx(-0.5)


def test_a_class_that_is_no_label_is_never_suggested() -> None:
    probabilities = np.array([[0.2, 0.1, 0.7], [0.3, 0.6, 0.1], [0.1, 0.3, 0.6]])
    labels = np.array([0, 1, 1])
    assert class_thresholds(probabilities, labels)[2] == np.inf
    assert all(one.suggested != 2 for one in find_suspects(probabilities, labels))
    assert estimated_joint(confident_joint(probabilities, labels), labels).sum() == pytest.approx(1)


def test_what_does_not_fit() -> None:
    with pytest.raises(DataError, match="do not fit each other"):
        find_suspects(np.zeros((3, 2)), np.zeros(4, dtype=np.int64))
    with pytest.raises(DataError, match="do not fit each other"):
        find_suspects(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
