"""Figures of classifiers against scikit-learn and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import (
    classification_examples,
    classification_scores,
    multilabel_examples,
    multilabel_scores,
)

NEVER: Any = 0  # wider than the types of scikit-learn say
LABELS = ["正面", "负面", "中性", "neutral"]


def test_by_hand_with_a_label_that_the_references_do_not_have():
    scores = classification_scores(["a", "b", "x", "b"], ["a", "b", "b", "a"])
    assert scores.labels == ("a", "b", "x")
    assert scores.confusion.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert scores.accuracy == scores.micro.f1 == 0.5
    assert scores.per_class["a"].precision == 1.0
    assert scores.per_class["a"].recall == 0.5
    assert scores.per_class["x"].f1 == 0.0
    assert scores.per_class["x"].support == 0
    assert scores.macro.f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores.weighted.f1 == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_given_labels_order_the_matrix_and_leave_the_averages_alone():
    free = classification_scores(["b", "a"], ["a", "a"])
    given = classification_scores(["b", "a"], ["a", "a"], labels=["c", "b", "a"])
    assert given.labels == ("c", "b", "a")
    assert given.confusion.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert given.macro == free.macro
    assert given.per_class["c"].support == 0


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30))
def test_resampled_figures_are_those_of_scikit_learn(pairs):
    ours, right = zip(*pairs, strict=True)
    scores = classification_scores(ours, right)
    assert scores.macro.f1 == pytest.approx(oracle.f1_score(right, ours, average="macro", zero_division=NEVER))
    one_class = len({*ours, *right}) == 1  # scikit-learn warns, and says 0 as well
    assert scores.mcc == (0.0 if one_class else pytest.approx(oracle.matthews_corrcoef(right, ours)))
    figures: list[tuple[Any, float]] = [
        ("accuracy", scores.accuracy),
        ("macro_f1", scores.macro.f1),
        ("weighted_f1", scores.weighted.f1),
        ("mcc", scores.mcc),
    ]
    for name, value in figures:
        assert classification_examples(name, ours, right).value == pytest.approx(value), name


def test_numbers_and_arrays():
    scores = classification_scores(np.array([0, 1, 2]), np.array([0, 1, 1]))
    assert scores.labels == (0, 1, 2)
    assert scores.accuracy == pytest.approx(2 / 3)
    assert classification_scores([True, False], [True, True]).accuracy == 0.5


@pytest.mark.parametrize(
    ("ours", "right", "message"),
    [
        (["a"], ["a", "b"], "1 predictions for 2 references"),
        ([], [], "nothing to score"),
        (["a", None], ["a", "b"], r"predictions\[1\]: None"),
        (["a", float("nan")], ["a", "b"], r"predictions\[1\]: nan"),
        ([[0.1, 0.9]], ["a"], "argmax"),
        (["a", 1], ["a", "b"], r"predictions\[1\].*type int"),
        ([0, 1], ["a", "b"], "predictions are of type int, references of type str"),
        ("ab", ["a", "b"], "one text"),
    ],
)
def test_bad_input_is_named(ours, right, message):
    with pytest.raises(DataError, match=message):
        classification_scores(ours, right)


def test_labels_outside_the_list_are_named():
    with pytest.raises(DataError, match=r"references\[1\]: the label '中性'"):
        classification_scores(["正面", "正面"], ["正面", "中性"], labels=["正面", "负面"])
    with pytest.raises(ConfigError, match="twice"):
        classification_scores(["a"], ["a"], labels=["a", "a"])
    with pytest.raises(ConfigError, match="unknown metric"):
        classification_examples("f2", ["a"], ["a"])  # pyright: ignore[reportArgumentType]


def test_multilabel_by_hand():
    ours = [["体育"], ["财经", "科技"], []]
    right = [{"体育"}, {"财经"}, {"科技"}]
    scores = multilabel_scores(ours, right)
    assert scores.micro.precision == pytest.approx(2 / 3)
    assert scores.micro.recall == pytest.approx(2 / 3)
    assert scores.macro.f1 == pytest.approx(2 / 3)  # 1, 1, 0
    assert scores.subset_accuracy == pytest.approx(1 / 3)
    assert scores.hamming_loss == pytest.approx(2 / 9)
    assert scores.per_class["科技"].f1 == 0.0
    assert multilabel_examples(ours, right).value == pytest.approx(scores.micro.f1)


def test_multilabel_with_a_single_label():
    scores = multilabel_scores([["a"], [], ["a"]], [["a"], ["a"], []])
    assert scores.per_class["a"].precision == scores.per_class["a"].recall == 0.5
    assert scores.micro.f1 == 0.5


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc"))), min_size=1, max_size=20))
def test_multilabel_matches_scikit_learn(pairs):
    ours, right = zip(*pairs, strict=True)
    if not any(ours) and not any(right):
        with pytest.raises(DataError, match="no example has any label"):
            multilabel_scores(ours, right)
        return
    scores = multilabel_scores(ours, right, labels=["a", "b", "c"])

    def matrix(sets):
        return [[int(label in members) for label in "abc"] for members in sets]

    expected = oracle.f1_score(matrix(right), matrix(ours), average="micro", zero_division=NEVER)
    assert scores.micro.f1 == pytest.approx(expected)
    assert multilabel_examples(ours, right).value == pytest.approx(expected)
    assert scores.hamming_loss == pytest.approx(oracle.hamming_loss(matrix(right), matrix(ours)))


@pytest.mark.parametrize(
    ("ours", "right", "message"),
    [
        (["ab"], [["a"]], r"predictions\[0\]: 'ab' is one label"),
        ([["a"]], [["a"], ["b"]], "1 predictions for 2"),
        ([[None]], [["a"]], r"predictions\[0\]\[0\]: None"),
        ([["a"]], [[1]], "of type"),
    ],
)
def test_multilabel_bad_input(ours, right, message):
    with pytest.raises(DataError, match=message):
        multilabel_scores(ours, right)


def test_multilabel_unknown_label():
    with pytest.raises(DataError, match=r"predictions\[0\]: the label 'z'"):
        multilabel_scores([["z"]], [["a"]], labels=["a"])
