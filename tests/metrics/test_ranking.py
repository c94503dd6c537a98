"""Recall@k and reciprocal rank; pass@k; distinct-n and repetition."""

from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import (
    distinct_n,
    gold_ranks,
    pass_at_k,
    pass_at_k_examples,
    ranking_scores,
    ranks_to_scores,
    reciprocal_rank_examples,
    repetition_examples,
)


def test_ranks_from_scores():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.3], [0.1, 0.2, 0.3]])
    ranks = gold_ranks(scores, [0, 1, 0])
    assert ranks.tolist() == [1, 2, 3]  # the tie counts against
    found = ranks_to_scores(ranks, ks=(1, 2, 3))
    assert found.mrr == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert found.recall == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1.0})


def test_a_constant_scorer_finds_nothing():
    found = ranks_to_scores(gold_ranks(np.zeros((4, 100)), [0, 1, 2, 3]))
    assert found.recall[10] == 0.0
    assert found.mrr == 0.01


def test_ranked_lists():
    ranked, relevant = [["甲", "乙", "丙"], ["丁"], []], [{"乙", "丙"}, {"丁"}, {"戊"}]
    found = ranking_scores(ranked, relevant, ks=(1, 2, 5))
    assert found.mrr == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found.recall == pytest.approx({1: 1 / 3, 2: (1 / 2 + 1) / 3, 5: 2 / 3})
    assert reciprocal_rank_examples(ranked, relevant).value == found.mrr


@pytest.mark.parametrize(
    ("ranked", "relevant", "message"),
    [
        ([["a"]], [["a"], ["b"]], "1 predictions for 2"),
        ([["a"]], [[]], r"relevant\[0\]: this query has no right item"),
        ([["a", "a"]], [["a"]], r"ranked\[0\]: an item is ranked twice"),
        (["a"], [["a"]], "a text where a list"),
        ([], [], "nothing to score"),
    ],
)
def test_bad_lists_are_named(ranked, relevant, message):
    with pytest.raises(DataError, match=message):
        ranking_scores(ranked, relevant)


def test_bad_scores_are_named():
    with pytest.raises(DataError, match=r"scores\[1\]: a score is NaN"):
        gold_ranks(np.array([[1.0], [np.nan]]), [0, 0])
    with pytest.raises(DataError, match="shape"):
        gold_ranks(np.zeros((2, 3)), [0])
    with pytest.raises(DataError, match=r"gold\[1\]: item 3 does not exist"):
        gold_ranks(np.zeros((2, 3)), [0, 3])
    with pytest.raises(DataError, match="from 1 on"):
        ranks_to_scores([0])
    with pytest.raises(ConfigError, match="at least 1"):
        ranks_to_scores([1], ks=(0,))


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        (5, 2, 2, 0.7),
        (200, 10, 1, 0.05),
        (200, 10, 10, 0.40854786608141713),
        (200, 10, 100, 0.9992289739372822),
        (3, 0, 2, 0.0),
        (3, 3, 3, 1.0),
        (3, 1, 3, 1.0),
    ],
)
def test_pass_at_k(n, c, k, expected):
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_over_problems():
    assert pass_at_k_examples([[True, False], [False, False], [True, True]], 1).value == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="pass@3 cannot be estimated from 2 samples"):
        pass_at_k_examples([[True, False]], 3)
    with pytest.raises(DataError, match=r"outcomes\[0\]"):
        pass_at_k_examples([[0.5]], 1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no examples"):
        pass_at_k_examples([], 1)


def test_distinct_and_repetition():
    assert distinct_n(["a b a b"], 1) == 0.5
    assert distinct_n(["今天天气好", "今天天气好"], 2) == 0.5
    assert distinct_n(["今天天气好"], 2) == 1.0
    assert repetition_examples(["哈哈哈哈哈"], 2).value == 0.75
    assert repetition_examples(["the cat and the dog", "x"], 2).value == 0.0
    with pytest.raises(DataError, match="smaller n"):
        distinct_n(["好"], 2)
    with pytest.raises(DataError, match="no texts"):
        distinct_n([], 2)
    with pytest.raises(DataError, match=r"texts\[0\]"):
        repetition_examples([None])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="at least 1"):
        distinct_n(["x"], 0)
