"""How probable a model finds a text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["Score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How probable a model finds a text."""

    ids: list[int]
    """Token ids of the text."""
    tokens: list[str]
    """The tokens as text; bytes of a split character show as U+FFFD."""
    logprobs: list[float]
    """Natural logarithm of each token's probability given those before it."""
    n_bytes: int
    """UTF-8 bytes of the text."""

    @property
    def n_tokens(self) -> int:
        """Number of tokens scored: all of them."""
        return len(self.ids)

    @property
    def nats(self) -> float:
        """Negative log-probability of the whole text, in nats."""
        return -math.fsum(self.logprobs)

    @property
    def bits_per_byte(self) -> float:
        """Bits needed for each UTF-8 byte: comparable between tokenizers."""
        return self.nats / math.log(2) / self.n_bytes

    @property
    def perplexity(self) -> float:
        """exp(nats per token); not comparable between tokenizers. Infinite where it is too large for a float."""
        mean = self.nats / self.n_tokens
        return math.exp(mean) if mean < 700 else math.inf

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "n_tokens": self.n_tokens,
            "n_bytes": self.n_bytes,
            "nats": self.nats,
            "bits_per_byte": self.bits_per_byte,
            "perplexity": self.perplexity if math.isfinite(self.perplexity) else None,
            "ids": self.ids,
            "tokens": self.tokens,
            "logprobs": self.logprobs,
        }
