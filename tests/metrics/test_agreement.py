"""Correlations and quadratic weighted kappa against scipy, scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import quadratic_kappa, quadratic_kappa_examples, regression_examples, regression_scores

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))


@settings(max_examples=25)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=30))
def test_correlations_match_scipy(pairs):
    ours, right = map(list, zip(*pairs, strict=True))
    if len(set(right)) == 1:
        with pytest.raises(DataError, match="nothing can correlate"):
            regression_scores(ours, right)
        return
    scores = regression_scores(ours, right)
    if len(set(ours)) == 1:
        assert scores.pearson == scores.spearman == 0.0
        return
    assert scores.spearman == pytest.approx(stats.spearmanr(ours, right)[0], abs=1e-9)
    assert scores.pearson == pytest.approx(stats.pearsonr(ours, right)[0], abs=1e-6)
    assert regression_examples("pearson", ours, right).value == scores.pearson
    assert regression_examples("spearman", ours, right).value == scores.spearman


def test_errors_and_perfect_order():
    scores = regression_scores([1.0, 2.0, 10.0], [0.0, 2.0, 3.0])
    assert scores.spearman == 1.0
    assert scores.pearson < 1.0
    assert scores.mean_absolute_error == pytest.approx(8 / 3)
    assert scores.mean_squared_error == pytest.approx(50 / 3)


@pytest.mark.parametrize(
    ("ours", "right", "message"),
    [
        ([1.0, float("nan")], [1.0, 2.0], r"predictions\[1\]: nan is not a finite number"),
        ([1.0, 2.0], [1.0, float("inf")], r"references\[1\]: inf"),
        ([1.0, "2"], [1.0, 2.0], r"predictions\[1\]: '2'"),
        ([1.0], [1.0, 2.0], "1 predictions for 2"),
        ([], [], "nothing to score"),
        ([1.0, 2.0], [3.0, 3.0], "all 2 references are 3"),
    ],
)
def test_bad_numbers_are_named(ours, right, message):
    with pytest.raises(DataError, match=message):
        regression_scores(ours, right)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30))
def test_kappa_matches_scikit_learn(pairs):
    ours, right = map(list, zip(*pairs, strict=True))
    kappa = quadratic_kappa(ours, right, low=0, high=4)
    if len({*ours, *right}) == 1:
        assert kappa == 1.0
    else:
        assert kappa == pytest.approx(cohen_kappa_score(right, ours, weights="quadratic", labels=range(5)))
    assert quadratic_kappa_examples(ours, right, low=0, high=4).value == kappa


def test_kappa_counts_distance_on_the_scale():
    """Nobody got a 2 or 3: a metric that numbers the grades that occur would give another value."""
    ours, right = [1, 1, 4, 4], [1, 4, 4, 1]
    assert quadratic_kappa(ours, right) == pytest.approx(0.0)
    ours, right = [1, 5, 6, 1], [1, 6, 5, 1]
    assert quadratic_kappa(ours, right) == pytest.approx(
        cohen_kappa_score(right, ours, weights="quadratic", labels=range(1, 7))
    )
    assert quadratic_kappa(ours, right) != pytest.approx(cohen_kappa_score(right, ours, weights="quadratic"))
    assert quadratic_kappa([0, 2, 1], [0, 2, 1]) == 1.0
    assert quadratic_kappa([2, 0], [0, 2]) == pytest.approx(-1.0)


def test_kappa_bad_input():
    with pytest.raises(DataError, match=r"predictions\[1\]: 2.5"):
        quadratic_kappa([1, 2.5], [1, 2])  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="not a whole number"):
        quadratic_kappa(["优"], ["良"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"predictions\[0\]: the grade 6 is outside 0..5|the grade 6 is outside 0..5"):
        quadratic_kappa([6], [5], low=0, high=5)
    with pytest.raises(ConfigError, match="unknown metric"):
        regression_examples("kendall", [1.0, 2.0], [1.0, 2.0])  # pyright: ignore[reportArgumentType]


def test_huge_and_tiny_numbers():
    right = np.array([1.0, 2.0, 3.0])
    assert regression_examples("pearson", right * 1e300, right * 1e-300).value == pytest.approx(1.0)
