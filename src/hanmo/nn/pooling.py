"""One vector for a row of token vectors. B batch, T positions, D width."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hanmo.nn.linear import Linear

__all__ = ["POOLINGS", "FirstTokenPooler", "pool_first", "pool_last", "pool_max", "pool_mean"]


class FirstTokenPooler(nn.Module):
    """`tanh(W h + b)` of the first real token (Devlin et al., 2019, §3)."""

    def __init__(self, d_model: int):
        super().__init__()
        self.dense = Linear(d_model, d_model)

    def forward(self, hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """(B, T, D), mask (B, T) or None → (B, D)."""
        return self.dense(pool_first(hidden, attention_mask)).tanh()


def pool_first(hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """The first real token of each row ("CLS"); position 0 of a row that has none.

    Args:
        hidden: (B, T, D).
        attention_mask: (B, T), 1 for real tokens, padding on either side; all are real if None. As in the functions
            below.

    Returns:
        (B, D).
    """
    if attention_mask is None:
        return hidden[:, 0]
    return _pick(hidden, attention_mask.long().argmax(-1))


def pool_last(hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """The last real token of each row, as decoders are pooled; position 0 of a row that has none."""
    if attention_mask is None:
        return hidden[:, -1]
    positions = torch.arange(hidden.shape[1], device=hidden.device)
    return _pick(hidden, (positions * attention_mask.bool()).argmax(-1))


def pool_mean(hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """The mean over real tokens (Reimers & Gurevych, 2019, §3); zeros for a row that has none."""
    if attention_mask is None:
        return hidden.mean(1)
    real = attention_mask.bool()[..., None]  # (B, T, 1)
    # summed in fp32 at least: fp16 counts no further than 2,048 by ones, bf16 no further than 256
    total = hidden.masked_fill(~real, 0.0).sum(1, dtype=torch.promote_types(hidden.dtype, torch.float32))
    return (total / real.sum(1).clamp(min=1)).to(hidden.dtype)


def pool_max(hidden: Tensor, attention_mask: Tensor | None = None) -> Tensor:
    """The largest value of each feature over real tokens; zeros for a row that has none."""
    if attention_mask is None:
        return hidden.amax(1)
    real = attention_mask.bool()[..., None]
    lowest = torch.finfo(hidden.dtype).min
    return hidden.masked_fill(~real, lowest).amax(1).masked_fill(~real.any(1), 0.0)


POOLINGS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "cls": pool_first,
    "last": pool_last,
    "mean": pool_mean,
    "max": pool_max,
}
"""Ways to pool, by name."""


def _pick(hidden: Tensor, index: Tensor) -> Tensor:
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), index]
