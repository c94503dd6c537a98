"""Compiled passes over the n-grams of one order."""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["add_extensions", "count_counts", "interpolate", "sum_contexts"]

_WORD_BITS = np.uint64(32)


@compiled()
def add_extensions(suffixes: np.ndarray, adjusted: np.ndarray) -> None:
    """Count the words that stand before each n-gram: the (n+1)-grams that it is the end of."""
    for i in range(len(suffixes)):
        adjusted[suffixes[i]] += 1


@compiled()
def count_counts(adjusted: np.ndarray, found: np.ndarray) -> None:
    """found[k] receives how many n-grams are counted k times, k = 0 to 4, (5,) int64."""
    for i in range(len(adjusted)):
        if adjusted[i] < 5:
            found[adjusted[i]] += 1


@compiled()
def sum_contexts(
    keys: np.ndarray,
    adjusted: np.ndarray,
    counts: np.ndarray,
    threshold: int,
    discounts: np.ndarray,
    totals: np.ndarray,
    weights: np.ndarray,
    extended: np.ndarray,
) -> None:
    """Add up the n-grams of each context.

    Args:
        keys: context and word, (n,) uint64.
        adjusted: adjusted counts, (n,) int32.
        counts: plain ones, for pruning, (n,) int32.
        threshold: n-grams that occur so often or less are left out.
        discounts: (4,), of those counted 0, 1, 2 and more times.
        totals: receives the sum of the adjusted counts, (contexts,) int32.
        weights: receives the share of that sum that is not given to n-grams that are kept, (contexts,) fp64; 1 for a
            context without n-grams.
        extended: receives whether one of the n-grams is kept, (contexts,) bool.
    """
    for i in range(len(keys)):
        context = np.int64(keys[i] >> _WORD_BITS)
        totals[context] += adjusted[i]
        if counts[i] > threshold:
            weights[context] += discounts[min(adjusted[i], 3)]
            extended[context] = True
        else:
            weights[context] += adjusted[i]
    for context in range(len(totals)):
        weights[context] = weights[context] / totals[context] if totals[context] > 0 else 1.0


@compiled()
def interpolate(
    keys: np.ndarray,
    suffixes: np.ndarray,
    adjusted: np.ndarray,
    counts: np.ndarray,
    threshold: int,
    discounts: np.ndarray,
    totals: np.ndarray,
    weights: np.ndarray,
    lower: np.ndarray,
    p: np.ndarray,
) -> None:
    """p(word | context) = (a - D(a)) / total + weight · p(word | shorter context); Chen and Goodman, eq. 24.

    Args:
        keys: as in `sum_contexts`, as are the next ones.
        suffixes: number of the n-gram without its first word, (n,) int32.
        lower: p of the (n-1)-grams, fp64.
        p: receives p, (n,) fp64; 1 for n-grams that are left out.
    """
    for i in range(len(keys)):
        p[i] = 1.0
        if counts[i] > threshold:
            context = np.int64(keys[i] >> _WORD_BITS)
            own = adjusted[i] - discounts[min(adjusted[i], 3)]
            p[i] = own / totals[context] + weights[context] * lower[suffixes[i]]
