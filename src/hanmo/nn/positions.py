"""Ways to tell a model where a token stands: learned vectors, or rotation of queries and keys.

Shapes: B batch, T positions, H heads, K d_head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Lookup

__all__ = ["LearnedPositions", "Rotary", "Rotation", "rotate"]


class LearnedPositions(Lookup):
    """One learned vector per position (Gehring et al., 2017), added to the token vectors."""

    def __init__(self, max_len: int, d_model: int):
        super().__init__(max_len, d_model)
        self.max_len = max_len

    def forward(self, position_ids: Tensor | None, length: int, offset: int = 0) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Vectors of given positions, or of `offset` … `offset + length - 1`.

        Args:
            position_ids: (B, T) or (1, T) int64, or None for consecutive positions.
            length: T.
            offset: number of positions that came before (in a cache).

        Returns:
            (B, T, D), (1, T, D) or (T, D).

        Raises:
            ConfigError: if a position is past the last learned one.
        """
        if position_ids is None:
            if offset + length > self.max_len:
                raise self._too_long(offset + length)
            # A slice instead of a gather: its gradient is a copy, not an indexed sum.
            return self.weight[offset : offset + length]
        if position_ids.device.type == "cpu" and not torch.compiler.is_compiling():
            low, high = (int(value) for value in torch.aminmax(position_ids))
            if low < 0 or high >= self.max_len:
                raise (
                    self._too_long(high + 1)
                    if low >= 0
                    else ConfigError(f"position {low} is negative", where="position_ids")
                )
        return F.embedding(position_ids, self.weight)

    def _too_long(self, length: int) -> ConfigError:
        return ConfigError(
            f"{length} positions, but this model has learned {self.max_len}",
            where="input_ids",
            remedy="Shorten or split the text; a model with learned positions cannot go past its max_len.",
        )


class Rotation(NamedTuple):
    """Cosines and sines of the angles by which queries and keys are turned, (B or 1, T, K/2), fp32."""

    cos: Tensor
    sin: Tensor


@dataclass(frozen=True)
class Rotary:
    """Rotary position embedding (Su et al., 2021, eq. 34), pairs made of the two halves of a head.

    The angles are computed anew in fp32 for each forward pass: a table kept in the module would be rounded with the
    weights when the model is cast to bf16.
    """

    d_head: int
    """Width of a head; even."""
    base: float = 10_000.0
    """Wavelengths go from 2π to 2π · base positions."""

    def __post_init__(self) -> None:
        if self.d_head % 2:
            raise ConfigError(f"rotary positions need an even d_head, got {self.d_head}", where="d_head")

    def __call__(self, position_ids: Tensor | None, length: int, offset: int, device: torch.device) -> Rotation:
        """Angles for given positions (B, T), or for `offset` … `offset + length - 1`."""
        if position_ids is None:
            position_ids = torch.arange(offset, offset + length, device=device)[None]
        exponents = torch.arange(0, self.d_head, 2, dtype=torch.float32, device=device) / self.d_head
        angles = position_ids[..., None].float() * (1.0 / self.base**exponents)
        return Rotation(angles.cos(), angles.sin())


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair (x_j, x_{j + K/2}) of every head by its angle.

    Args:
        x: (B, T, H, K).
        rotation: angles, (B or 1, T, K/2).
    """
    cos, sin = rotation.cos.unsqueeze(-2), rotation.sin.unsqueeze(-2)  # (B, T, 1, K/2)
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    return turned.to(x.dtype)
