"""Settings of GloVe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hanmo.core.settings import Settings

__all__ = ["GloveSettings", "Sides"]

Sides = Literal["both", "left", "right"]


class GloveSettings(Settings):
    """How GloVe is trained (Pennington et al., 2014; the defaults are those of §4.2)."""

    dim: int = Field(default=100, ge=1)
    """Length of a vector."""
    window: int = Field(default=10, ge=1, le=255)
    """Words on each side, at most; one at distance d counts 1/d."""
    sides: Sides = "both"
    """Whether the words before a word are its context, those behind it, or both."""
    x_max: float = Field(default=100.0, gt=0)
    """Co-occurrences that are counted as often as this, or more, have the full weight."""
    alpha: float = Field(default=0.75, ge=0)
    """The weight of rarer ones is (count / x_max) to this power."""
    min_count: int = Field(default=5, ge=1)
    """Rarer words get no vector."""
    max_words: int | None = Field(default=None, ge=1)
    """Only so many of the most frequent words get one."""
    epochs: int = Field(default=15, ge=1)
    """Times that each co-occurrence is learnt from."""
    lr: float = Field(default=0.05, gt=0)
    """Learning rate of AdaGrad."""
    sum_sets: bool = True
    """Return the sum of a word's two vectors, as word and as context (§4.2); else the first alone."""
    memory: int = Field(default=2**31, ge=2**20)
    """Bytes for counting and for co-occurrences, beside text and vectors; what is more goes to a temporary file."""
    threads: int | None = Field(default=None, ge=1)
    """All cores if not given."""
    deterministic: Literal[True] = True
    """The same vectors to the last bit for the same text, settings and machine, on any number of threads: always so."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Of all random numbers."""
