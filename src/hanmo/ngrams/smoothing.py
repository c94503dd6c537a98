"""From counts to probabilities: interpolated modified Kneser–Ney (`plain` has the formulas in readable form)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hanmo.core.progress import say
from hanmo.ngrams.counting import Level
from hanmo.ngrams.discounts import Discounts, estimate_discounts
from hanmo.ngrams.marks import BEGIN
from hanmo.ngrams.settings import NgramSettings
from hanmo.ngrams.smoothing_kernels import add_extensions, count_counts, interpolate, sum_contexts

__all__ = ["NEVER", "Estimate", "estimate_levels"]

NEVER = 1e-99
"""Stands for p = 0, as -99 does for its logarithm in ARPA files."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """The n-grams of one order with their probabilities; those of order 1 are the words, in their order."""

    keys: np.ndarray
    """Context and word, (n,) uint64 (`counting.Level`)."""
    suffixes: np.ndarray
    """(n,) int32."""
    kept: np.ndarray
    """Which n-grams are part of the model, (n,) bool; the others keep their numbers."""
    p: np.ndarray
    """p(word | context), (n,) fp64."""
    backoff: np.ndarray
    """What the n-gram, as a context, leaves to its suffix, (n,) fp64; 1 where it is no context."""
    extended: np.ndarray
    """Whether the n-gram is the context of one that is kept, (n,) bool."""
    discounts: Discounts | None = None
    """What was taken from the counts; None where the numbers were read from a file."""


def estimate_levels(levels: list[Level], settings: NgramSettings) -> Iterator[Estimate]:
    """The estimates of each order, from the words to the longest n-grams; `levels` is emptied on the way."""
    n_words = len(levels[0])
    lower = np.full(1, 1 / (n_words - 1))  # every word but the mark of the beginning
    here: _Sums | None = _Sums(levels, 1, settings, n_contexts=1)
    order = 1
    while here is not None:
        level = levels[0]
        p = np.empty(len(level))
        interpolate(
            here.keys, here.suffixes, here.adjusted, level.counts, here.threshold, here.steps, here.totals, here.weights,
            lower, p,
        )  # fmt: skip
        above = _Sums(levels[1:], order + 1, settings, n_contexts=len(level)) if len(levels) > 1 else None
        if order == 1:
            p[BEGIN] = NEVER
        backoff = np.ones(len(level)) if above is None else above.weights
        extended = np.zeros(len(level), bool) if above is None else above.extended
        estimate = Estimate(
            here.keys, here.suffixes, level.counts > here.threshold, p, backoff, extended, here.discounts
        )
        lower, here, order = p, above, order + 1
        del level, levels[0], above, p, backoff, extended  # large, and not needed here any more
        yield estimate
        del estimate


class _Sums:
    """What the n-grams of each context come to: the first of `levels`, which needs the second one, if there is one."""

    def __init__(self, levels: list[Level], order: int, settings: NgramSettings, *, n_contexts: int):
        level = levels[0]
        self.adjusted = _adjusted_counts(levels)
        if order == 1:  # words have no context; none of them is left out, those never seen included
            self.adjusted = self.adjusted.copy()
            self.adjusted[BEGIN] = 0
            self.keys, self.suffixes = np.arange(len(level), dtype=np.uint64), np.zeros(len(level), np.int32)
            self.threshold = -1
        else:
            self.keys, self.suffixes, self.threshold = level.keys, level.suffixes, settings.threshold(order)
        found = np.zeros(5, np.int64)
        count_counts(self.adjusted, found)
        self.discounts = estimate_discounts(found[1:].tolist(), settings.fallback)
        if self.discounts.problem:
            say(
                f"The discounts of the {order}-grams cannot be estimated ({self.discounts.problem}: little or artificial "
                f"text?); {', '.join(map(str, settings.fallback))} stand in for them."
            )
        self.steps = np.array([self.discounts.of(count) for count in range(4)])
        self.totals, self.weights = np.zeros(n_contexts, np.int32), np.zeros(n_contexts)
        self.extended = np.zeros(n_contexts, bool)
        sum_contexts(
            self.keys, self.adjusted, level.counts, self.threshold, self.steps, self.totals, self.weights, self.extended
        )


def _adjusted_counts(levels: list[Level]) -> np.ndarray:
    """Plain counts of the longest n-grams and of those that begin a sentence, else how many words stand before."""
    counts = levels[0].counts
    if len(levels) == 1:
        return counts
    adjusted = np.zeros(len(counts), np.int32)
    add_extensions(levels[1].suffixes, adjusted)
    first = adjusted == 0
    adjusted[first] = counts[first]
    return adjusted
