"""Which key positions each query position may look at, as boolean masks (True = may look).

Shapes: B batch, T query positions, S key positions. Queries are always the last T of the S positions.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError

__all__ = [
    "causal_mask", "combine", "packed_mask", "packed_texts", "padding_mask", "positions_from_padding", "shifted_positions",
]  # fmt: skip


def causal_mask(n_queries: int, n_keys: int, device: torch.device | None = None) -> Tensor:
    """Each position sees itself and what comes before it.

    Returns:
        (T, S) bool; row i is the query at position S - T + i.
    """
    ones = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return ones.tril(n_keys - n_queries)


def padding_mask(attention_mask: Tensor, batch: int, n_keys: int) -> Tensor | None:
    """Turn a tokenizer's attention mask into a mask over keys.

    Args:
        attention_mask: (B, S), 1 or True where there is a real token, padding on either side.
        batch: B.
        n_keys: S, cached positions included.

    Returns:
        (B, 1, 1, S) bool, or None where nothing is padding (so that the faster unmasked kernel can run).

    Raises:
        ConfigError: if the shape is not (B, S).
    """
    if attention_mask.shape != (batch, n_keys):
        raise ConfigError(
            f"attention_mask has shape {tuple(attention_mask.shape)}, expected ({batch}, {n_keys})",
            where="attention_mask",
            remedy="Give one 0 or 1 for every position, those already in past_key_values included.",
        )
    seen = attention_mask.to(torch.bool)
    # A look at the values would break a compiled graph and stall an accelerator.
    if seen.device.type == "cpu" and not torch.compiler.is_compiling() and bool(seen.all()):
        return None
    return seen[:, None, None, :]


def packed_texts(position_ids: Tensor) -> Tensor | None:
    """Number the texts that are packed into one row: a new one starts where positions do not go up by one.

    Args:
        position_ids: (B, T), for example 0 1 2 0 1 for texts of three and two tokens.

    Returns:
        (B, T) int64, 0 0 0 1 1 in the example; None where each row is one text.
    """
    starts = position_ids.diff(dim=-1, prepend=position_ids[:, :1] - 1) != 1
    if not torch.compiler.is_compiling() and not bool(starts.any()):
        return None
    return starts.cumsum(-1)


def packed_mask(texts: Tensor | None, n_before: int = 0, n_new: int = 0) -> Tensor | None:
    """Keep texts that are packed into one row apart.

    Args:
        texts: number of the text that each token belongs to, (B, T); None where each row is one text.
        n_before: positions before all texts, which every text may see.
        n_new: how many of these are among the queries.

    Returns:
        (B, 1, n_new + T, n_before + T) bool, True within one text; None where there is nothing to keep apart.
    """
    if texts is None:
        return None
    apart = (texts[:, None, :, None] == texts[:, None, None, :]).contiguous()
    return F.pad(apart, (n_before, 0, n_new, 0), value=True) if n_before else apart


def shifted_positions(position_ids: Tensor | None, n_before: int, n_new: int) -> Tensor | None:
    """Positions of texts (B, T) that others stand before.

    Args:
        position_ids: counted from the first token of a text; None stays None.
        n_before: positions before all texts.
        n_new: how many of these are to be numbered with them.

    Returns:
        (B, n_new + T).
    """
    if position_ids is None or not n_before:
        return position_ids
    own = torch.arange(n_new, device=position_ids.device).expand(len(position_ids), -1)
    return torch.cat((own, position_ids + n_before), 1)


def combine(*masks: Tensor | None) -> Tensor | None:
    """A position may be seen if every mask allows it; None allows everything."""
    combined = None
    for mask in masks:
        if mask is not None:
            combined = mask if combined is None else combined & mask
    return combined


def positions_from_padding(attention_mask: Tensor) -> Tensor:
    """Number the real tokens of each row 0, 1, 2, … wherever the padding is.

    Args:
        attention_mask: (B, S), 1 for real tokens.

    Returns:
        (B, S) int64; padding gets the number of the real token before it, or 0.
    """
    return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
