"""Settings of word2vec and of its sub-words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings, differs

__all__ = ["SubwordSettings", "Word2VecSettings"]


class SubwordSettings(Settings):
    """Pieces of words (Bojanowski et al., 2017, §3.2), so that a word that was never seen gets a vector too."""

    min_chars: int = Field(3, ge=1)
    """Shortest piece, in characters, the marks < and > of the word's ends included; 1 or 2 suits Chinese."""
    max_chars: int = Field(6, ge=1)
    """Longest piece, in characters."""
    buckets: int = Field(2_000_000, ge=1, le=2**31 - 1)
    """Pieces are numbered by a hash below this; only numbers that occur take memory."""

    @model_validator(mode="after")
    def _check(self) -> SubwordSettings:
        if self.max_chars < self.min_chars:
            raise ValueError(f"max_chars = {self.max_chars} is less than min_chars = {self.min_chars}")
        return self


class Word2VecSettings(Settings):
    """How word2vec is trained (Mikolov et al., 2013a, 2013b)."""

    method: Literal["skipgram", "cbow"] = "skipgram"
    """Each word around predicts the word, or the mean of the words around does."""
    objective: Literal["negative", "hierarchical"] = "negative"
    """Negative sampling, or hierarchical softmax over a Huffman tree."""
    dim: int = Field(100, ge=1)
    """Length of a vector."""
    window: int = Field(5, ge=1)
    """Words on each side, at most; how many is drawn anew at each position."""
    negative: int = Field(5, ge=1)
    """Negative words a position, for negative sampling."""
    negative_power: float = 0.75
    """Negative words are drawn by their count to this power."""
    sample: float = Field(1e-3, ge=0)
    """Share of the text above which a word is left out at times; 0 keeps all."""
    min_count: int = Field(5, ge=1)
    """Rarer words get no vector."""
    max_words: int | None = Field(None, ge=1)
    """Only so many of the most frequent words get one."""
    epochs: int = Field(5, ge=1)
    """Times that the text is read."""
    lr: float | None = Field(None, gt=0)
    """Learning rate at the start; 0.03 for skip-gram and 0.05 for CBOW if not given. word2vec.c has 0.025 and 0.05: it
    changes a word after each of its pairs, so that the next pair meets more of it; pairs that are learned together, as here
    for skip-gram, need a fifth more for the same vectors (measured: docs/design-notes.md)."""
    last_lr: float = Field(1e-4, ge=0)
    """Learning rate at the end; it falls in a straight line."""
    subwords: SubwordSettings | None = None
    """Build vectors from pieces of words."""
    threads: int | None = Field(None, ge=1)
    """All cores if not given."""
    deterministic: bool = False
    """One thread, and so the same vectors to the last bit for the same text, settings and machine."""
    seed: int = Field(1, ge=0, lt=2**63)
    """Of all random numbers."""

    @model_validator(mode="after")
    def _check(self) -> Word2VecSettings:
        if self.deterministic and self.threads not in (None, 1):
            raise ValueError(f"deterministic training has one thread, and threads = {self.threads} is asked for")
        if self.objective == "hierarchical" and differs(self, "negative"):
            raise ValueError(f"negative = {self.negative} is for negative sampling, and the objective is hierarchical")
        return self

    @property
    def first_lr(self) -> float:
        """The learning rate at the start."""
        return self.lr if self.lr is not None else 0.03 if self.method == "skipgram" else 0.05
