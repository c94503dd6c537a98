"""Rows of unequal length into batches with little padding: texts of like length together, a budget of tokens each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError

__all__ = ["batches_by_length", "pad_rows"]


def batches_by_length(lengths: Sequence[int], *, max_tokens: int) -> list[list[int]]:
    """Which rows go together, the longest first, so that what does not fit into memory fails at once.

    Args:
        lengths: tokens of each row.
        max_tokens: most positions of a batch, padding included; a longer row is a batch of its own.

    Returns:
        Indices of the rows of each batch; each row once.

    Raises:
        ConfigError: if there is no budget.
    """
    if max_tokens < 1:
        raise ConfigError(f"max_tokens = {max_tokens} leaves no room for a row", where="max_tokens")
    batches: list[list[int]] = []
    room = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if room == 0:
            batches.append([])
            room = max(1, max_tokens // max(1, lengths[row]))
        batches[-1].append(row)
        room -= 1
    return batches


def pad_rows(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Rows of ids side by side, filled up on the right, (B, T) int64."""
    length = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows], dtype=torch.int64)
