"""How much is taken from the counts of n-grams, for those that were never seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Discounts", "estimate_discounts"]


@dataclass(frozen=True)
class Discounts:
    """Taken from an n-gram that was counted once, twice, and more often."""

    one: float
    two: float
    more: float
    problem: str = ""
    """Why the counts do not give them and these are the fallback; "" where they do."""

    def of(self, count: int) -> float:
        """What is taken from this count."""
        return (0.0, self.one, self.two, self.more)[min(count, 3)]


def estimate_discounts(counts_of_counts: Sequence[int], fallback: tuple[float, float, float]) -> Discounts:
    """Discounts of one order (Chen and Goodman, 1998, eq. 26), in the counts that leave-one-out gives them.

    Args:
        counts_of_counts: t[k - 1] n-grams have the adjusted count k, for k = 1 to 4.
        fallback: the discounts where a t is 0 or one comes out impossible (little or artificial text).
    """
    t1, t2, t3, t4 = counts_of_counts
    for k, t in enumerate((t1, t2, t3), 1):
        if t == 0:
            return Discounts(*fallback, problem=f"none of them is counted {('once', 'twice', 'three times')[k - 1]}")
    y = t1 / (t1 + 2 * t2)
    found = (1 - 2 * y * t2 / t1, 2 - 3 * y * t3 / t2, 3 - 4 * y * t4 / t3)
    for k, discount in enumerate(found, 1):
        if not 0 < discount <= k:  # at 0 nothing would be left for words never seen
            return Discounts(*fallback, problem=f"the discount of those counted {k} comes out as {discount:.3f}")
    return Discounts(*found)
