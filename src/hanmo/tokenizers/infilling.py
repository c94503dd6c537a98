"""The middle of a text from its beginning and its end: how both are shown to a model that writes from left to right.

Fill-in-the-middle (Bavarian et al., 2022): `<|fim_prefix|>` beginning `<|fim_suffix|>` end `<|fim_middle|>` middle (PSM), or
with the end first, `<|fim_prefix|><|fim_suffix|>` end `<|fim_middle|>` beginning middle (SPM, §3, the variant they train
jointly).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hanmo.core.errors import ModelError
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["FIM_TOKENS", "InfillTokens", "Order", "infill_tokens"]

FIM_TOKENS = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
"""As Qwen2.5-Coder calls them, and our own tokenizers."""
_KNOWN = (FIM_TOKENS, ("<fim_prefix>", "<fim_middle>", "<fim_suffix>"), ("▁<PRE>", "▁<MID>", "▁<SUF>"))
"""Qwen2.5-Coder, StarCoder, Code Llama."""

Order = Literal["psm", "spm"]


@dataclass(frozen=True)
class InfillTokens:
    """Ids of the three marks."""

    prefix: int
    middle: int
    suffix: int

    def arrange(self, beginning: Sequence[int], end: Sequence[int], order: Order = "psm") -> list[int]:
        """Ids after which the middle comes."""
        if order == "psm":
            return [self.prefix, *beginning, self.suffix, *end, self.middle]
        return [self.prefix, self.suffix, *end, self.middle, *beginning]


def infill_tokens(tokenizer: Tokenizer, *, where: object = None) -> InfillTokens:
    """The marks of a tokenizer.

    Raises:
        ModelError: if it has none.
    """
    for names in _KNOWN:
        found = [tokenizer.token_id(name) for name in names]
        if None not in found:
            prefix, middle, suffix = (token for token in found if token is not None)
            return InfillTokens(prefix, middle, suffix)
    raise ModelError(
        "this tokenizer has no tokens for filling in the middle", where=where,
        remedy="Train with [infilling] in the recipe, or take a model of code that has them.",
    )  # fmt: skip
