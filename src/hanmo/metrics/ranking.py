"""How high the right items stand in a ranking: recall@k and mean reciprocal rank."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_pairs
from hanmo.metrics.per_example import PerExample, mean_of

__all__ = ["RankingScores", "gold_ranks", "ranking_scores", "ranks_to_scores", "reciprocal_rank_examples"]


@dataclass(frozen=True)
class RankingScores:
    """How well the right items were ranked, over all queries."""

    n: int
    """Number of queries."""
    mrr: float
    """Mean of 1 / rank of the first right item, 0 where none was found, 0..1."""
    recall: dict[int, float]
    """k → mean share of a query's right items among its first k, 0..1."""


def _check_ks(ks: Sequence[int]) -> None:
    for k in ks:
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k}", where="ks")


def gold_ranks(scores: NDArray[np.floating[Any]], gold: Iterable[int]) -> NDArray[np.int64]:
    """Rank of the right item of each query, 1 for the best, (Q,).

    Items with the same score as the right one stand before it: a model that gives every item the same score finds
    nothing.

    Args:
        scores: score of each item for each query, (Q, D), higher is better.
        gold: number of the right item of each query, (Q,).

    Raises:
        DataError: for wrong shapes, NaN scores, or an item that does not exist.
    """
    matrix, right = np.asarray(scores), np.asarray(as_list(gold, "gold"), dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape[0] != len(right) or not matrix.size:
        raise DataError(f"scores have the shape {matrix.shape} for {len(right)} queries", where="scores")
    bad = np.flatnonzero(np.isnan(matrix).any(axis=1))
    if len(bad):
        raise DataError("a score is NaN", where=f"scores[{bad[0]}]", remedy="Look for an empty text or a zero vector.")
    outside = np.flatnonzero((right < 0) | (right >= matrix.shape[1]))
    if len(outside):
        raise DataError(f"item {right[outside[0]]} does not exist among {matrix.shape[1]}", where=f"gold[{outside[0]}]")
    own = np.take_along_axis(matrix, right[:, None], axis=1)
    return (matrix >= own).sum(axis=1)


def ranks_to_scores(ranks: Iterable[int], ks: Sequence[int] = (1, 5, 10)) -> RankingScores:
    """Recall@k and MRR from the rank of the one right item of each query, as `gold_ranks` gives it."""
    _check_ks(ks)
    array = np.asarray(as_list(ranks, "ranks"), dtype=np.int64)
    if not len(array) or array.min() < 1:
        raise DataError("ranks must be whole numbers from 1 on, at least one of them", where="ranks")
    return RankingScores(len(array), float((1 / array).mean()), {k: float((array <= k).mean()) for k in ks})


def _ranked(
    ranked: Iterable[Sequence[Hashable]], relevant: Iterable[Collection[Hashable]]
) -> list[tuple[list[Hashable], set[Hashable]]]:
    given, right = as_list(ranked, "ranked"), as_list(relevant, "relevant")
    check_pairs(given, right)
    pairs = []
    for query, (items, wanted) in enumerate(zip(given, right, strict=True)):
        if isinstance(items, str) or isinstance(wanted, str):
            raise DataError("a text where a list of items belongs", where=f"query {query}")
        if not wanted:
            raise DataError(
                "this query has no right item", where=f"relevant[{query}]", remedy="Leave such queries out, and say so."
            )
        if len(set(items)) < len(items):
            raise DataError("an item is ranked twice", where=f"ranked[{query}]", remedy="Keep its first place only.")
        pairs.append((list(items), set(wanted)))
    return pairs


def _reciprocal(items: list[Hashable], wanted: set[Hashable]) -> float:
    return next((1.0 / rank for rank, item in enumerate(items, 1) if item in wanted), 0.0)


def ranking_scores(
    ranked: Iterable[Sequence[Hashable]], relevant: Iterable[Collection[Hashable]], ks: Sequence[int] = (1, 5, 10)
) -> RankingScores:
    """Recall@k and MRR of ranked lists.

    Args:
        ranked: for each query the items found, best first, (Q,) lists of any length.
        relevant: for each query its right items, (Q,), at least one each.
        ks: cut-offs of recall.

    Raises:
        DataError: for different numbers of queries, a query without right items, an item ranked twice.
    """
    _check_ks(ks)
    pairs = _ranked(ranked, relevant)
    recall = {
        k: float(np.mean([len(wanted.intersection(items[:k])) / len(wanted) for items, wanted in pairs])) for k in ks
    }
    return RankingScores(len(pairs), float(np.mean([_reciprocal(*pair) for pair in pairs])), recall)


def reciprocal_rank_examples(
    ranked: Iterable[Sequence[Hashable]], relevant: Iterable[Collection[Hashable]]
) -> PerExample:
    """Mean reciprocal rank in the form that intervals and paired tests take; arguments as `ranking_scores`."""
    return mean_of([_reciprocal(*pair) for pair in _ranked(ranked, relevant)], "mrr")
