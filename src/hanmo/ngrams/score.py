"""How probable a model finds a text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hanmo.metrics.compression import bits_per_byte, bits_per_character, perplexity

__all__ = ["NgramScore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramScore:
    """How probable a model finds a text; all figures count the ends of sentences and unknown words, unless they say."""

    log10: float
    """log10 p of the text."""
    log10_ends: float
    """The part of it that the ends of sentences have."""
    log10_unknown: float
    """The part that unknown words have: what it takes to say that there is one, not which."""
    n_sentences: int
    """Lines that have words."""
    n_words: int
    """Words, characters or tokens."""
    n_unknown: int
    """Those that the model does not know."""
    n_characters: int
    """Of the text."""
    n_bytes: int
    """Of the text in UTF-8."""

    @property
    def nats(self) -> float:
        """-ln p of the text."""
        return -self.log10 * math.log(10)

    @property
    def perplexity(self) -> float:
        """For each word and each end of a sentence, as kenlm and Mikolov count."""
        return perplexity(self.nats, self.n_words + self.n_sentences)

    @property
    def perplexity_without_ends(self) -> float:
        """For each word; the ends of sentences are not counted."""
        return perplexity((self.log10_ends - self.log10) * math.log(10), self.n_words)

    @property
    def perplexity_known(self) -> float:
        """For each known word and each end of a sentence, as SRILM counts."""
        nats = (self.log10_unknown - self.log10) * math.log(10)
        return perplexity(nats, self.n_words + self.n_sentences - self.n_unknown)

    @property
    def bits_per_word(self) -> float:
        """Bits for each word and each end of a sentence."""
        return self.nats / math.log(2) / (self.n_words + self.n_sentences)

    @property
    def bits_per_character(self) -> float:
        """Bits for each character; only where no word is unknown do they suffice to write the text."""
        return bits_per_character(self.nats, self.n_characters)

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of UTF-8; as `bits_per_character`."""
        return bits_per_byte(self.nats, self.n_bytes)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        names = (
            "log10", "n_sentences", "n_words", "n_unknown", "n_characters", "n_bytes", "perplexity",
            "perplexity_without_ends", "perplexity_known", "bits_per_word", "bits_per_character", "bits_per_byte",
        )  # fmt: skip
        values = {name: getattr(self, name) for name in names}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}
