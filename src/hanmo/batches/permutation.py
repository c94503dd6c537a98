"""Permutation language modelling: tokens are guessed one after another in a random order (Yang et al., 2019, §2.3).

Shapes: B rows, T positions, P targets.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hanmo.core.errors import DataError

__all__ = ["PermutationBatch", "permute"]


class PermutationBatch(NamedTuple):
    """What a two-stream model is trained on; `_asdict()` gives its arguments."""

    input_ids: Tensor
    """The whole text, (B, T) int64."""
    perm_mask: Tensor
    """Whether position i may not look at j, (B, T, T) bool."""
    target_mapping: Tensor
    """1 where target i stands at position j, (B, P, T) fp32."""
    labels: Tensor
    """The tokens at the targets, (B, P) int64."""


def permute(
    input_ids: Tensor, n_targets: int, generator: torch.Generator, *, attention_mask: Tensor | None = None
) -> PermutationBatch:
    """Draw an order of the tokens for each row; the last `n_targets` are guessed, each from all before it.

    The tokens before the targets see each other in both directions, since none of them is guessed. There is at least
    one: a target that sees nothing could only learn how frequent tokens are.

    Args:
        input_ids: (B, T) int64.
        n_targets: P, tokens to guess per row; the paper takes T / 6.
        generator: source of randomness on the CPU; the same state gives the same orders.
        attention_mask: (B, T), 1 for real tokens: padding is neither guessed nor looked at.

    Raises:
        DataError: names the first row that has not one real token more than targets.
    """
    batch, length = input_ids.shape
    real = torch.ones(batch, length, dtype=torch.bool) if attention_mask is None else attention_mask.bool().cpu()
    short = (real.sum(-1) <= n_targets).nonzero()
    if n_targets < 1 or len(short):
        row = int(short[0]) if len(short) else 0
        raise DataError(
            f"row {row} has {int(real[row].sum())} tokens, of which {n_targets} cannot be guessed from the others",
            where="n_targets",
            remedy="Guess at least one and fewer than there are.",
        )
    keys = torch.rand(batch, length, generator=generator).masked_fill(~real, -1.0)
    places = keys.argsort(dim=-1)[:, -n_targets:]  # (B, P), in the order in which they are guessed
    rank = torch.full((batch, length), -1)
    rank.scatter_(1, places, torch.arange(n_targets).expand(batch, -1))
    guessed = rank >= 0
    # a target is seen only by those that come later in the order; a context token, of rank -1, sees no target
    hidden = guessed[:, None, :] & (rank[:, None, :] >= rank[:, :, None])
    hidden |= ~real[:, None, :]
    device = input_ids.device
    return PermutationBatch(
        input_ids,
        hidden.to(device),
        torch.nn.functional.one_hot(places, length).float().to(device),
        input_ids.gather(1, places.to(device)),
    )
