"""Rows of unequal length: real positions moved to the front, and back to where they were.

What goes through a row step by step (a recurrence, a chain) then needs to know only how long each row is, wherever the
padding was. Shapes: B batch, T positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError

__all__ = ["Ragged", "ragged"]


@dataclass(frozen=True)
class Ragged:
    """Where the real positions of each row are."""

    order: Tensor
    """Positions of each row, the real ones first, (B, T)."""
    lengths: Tensor
    """Real positions of each row, (B,)."""
    in_place: bool = False
    """Whether all real positions are in front already, so that nothing has to move."""

    @property
    def real(self) -> Tensor:
        """True for the first `lengths` positions, (B, T)."""
        return torch.arange(self.order.shape[1], device=self.order.device) < self.lengths[:, None]

    def front(self, x: Tensor) -> Tensor:
        """(B, T, ...) with the real positions of each row first, in their order."""
        return x if self.in_place else _reorder(x, self.order)

    def back(self, x: Tensor) -> Tensor:
        """Undo `front`."""
        return x if self.in_place else _reorder(x, self.order.argsort(-1))

    def mirrored(self) -> Tensor:
        """Positions that turn the real part of each moved row round, (B, T); doing it twice undoes it."""
        steps = torch.arange(self.order.shape[1], device=self.order.device).expand_as(self.order)
        return (self.lengths[:, None] - 1 - steps).where(self.real, steps)


def ragged(mask: Tensor | None, batch: int, length: int, *, where: str = "attention_mask") -> Ragged | None:
    """Read a mask.

    Args:
        mask: (B, T), 1 or True for real positions; padding on either side, holes too.
        batch: B.
        length: T.
        where: what an error names.

    Returns:
        None where all is real.

    Raises:
        ConfigError: if the shape is not (B, T).
    """
    if mask is None:
        return None
    if mask.shape != (batch, length):
        raise ConfigError(f"{where} has shape {tuple(mask.shape)}, expected ({batch}, {length})", where=where)
    real = mask.to(torch.bool)
    if real.device.type == "cpu" and not torch.compiler.is_compiling():  # where it costs nothing to look
        if bool(real.all()):
            return None
        if bool((real[:, 1:] <= real[:, :-1]).all()):
            return Ragged(torch.arange(length).expand(batch, -1), real.sum(-1), in_place=True)
    return Ragged((~real).byte().argsort(dim=-1, stable=True), real.sum(-1))


def _reorder(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.reshape(*order.shape, *(1,) * (x.dim() - 2)).expand(-1, -1, *x.shape[2:]))
