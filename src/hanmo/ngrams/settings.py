"""Settings of an n-gram model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hanmo.core.settings import Settings

__all__ = ["NgramSettings", "Unit"]

Unit = Literal["word", "character", "token"]


class NgramSettings(Settings):
    """What is counted, how far back, and what is left out."""

    order: int = Field(default=5, ge=1, le=12)
    """Longest n-gram: a word is predicted from the order - 1 before it."""
    unit: Unit = "word"
    """What a text is a sequence of."""
    min_count: int = Field(default=1, ge=1)
    """Rarer words are counted as the unknown word."""
    max_words: int | None = Field(default=None, ge=1)
    """Only so many of the most frequent words are known."""
    prune: tuple[int, ...] = (0,)
    """N-grams that occur so often or less are left out, by order; the last one holds for all longer n-grams too."""
    fallback: tuple[float, float, float] = (0.5, 1.0, 1.5)
    """Discounts of n-grams counted once, twice, and more often, where the counts do not give them."""

    @field_validator("prune")
    @classmethod
    def _rising(cls, prune: tuple[int, ...]) -> tuple[int, ...]:
        if not prune or min(prune) < 0:
            raise ValueError("needs one count (0 or more) or several")
        if prune[0]:
            raise ValueError("begins with 0: words are left out by min_count or max_words instead")
        if list(prune) != sorted(prune):
            raise ValueError("may not fall: an n-gram that is kept needs the shorter ones in it")
        return prune

    @field_validator("fallback")
    @classmethod
    def _possible(cls, fallback: tuple[float, float, float]) -> tuple[float, float, float]:
        if not all(0 < discount <= count for count, discount in enumerate(fallback, 1)):
            raise ValueError("a discount is above 0 and no more than the count that it is taken from (1, 2, 3)")
        return fallback

    def threshold(self, order: int) -> int:
        """N-grams of this order that occur so often or less are left out."""
        return self.prune[min(order, len(self.prune)) - 1]
