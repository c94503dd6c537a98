"""Ways to tell a model where a token stands: learned vectors, or rotation of queries and keys.

Shapes: B batch, T positions, H heads, K d_head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Lookup
from hanmo.nn.rope_scaling import DynamicScaling, LongScaling, RopeScaling, YarnScaling, plain_frequencies

__all__ = ["LearnedPositions", "Rotary", "Rotation", "rotate"]


class LearnedPositions(Lookup):
    """One learned vector per position (Gehring et al., 2017), added to the token vectors."""

    def __init__(self, max_len: int, d_model: int, *, pad_id: int | None = None):
        """`pad_id`: the position that padding is given; its vector is not trained."""
        super().__init__(max_len, d_model, padding_idx=pad_id)
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
        return F.embedding(position_ids, self.weight, self.padding_idx)

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
    weights when the model is cast to bf16, and would have to know what lengths it was made for.
    """

    d_head: int
    """Width of a head; even."""
    base: float = 10_000.0
    """Wavelengths go from 2π to 2π · base positions."""
    scaling: RopeScaling | None = None
    """How they are stretched for longer texts, if they are."""

    def __post_init__(self) -> None:
        if self.d_head % 2:
            raise ConfigError(f"rotary positions need an even d_head, got {self.d_head}", where="d_head")
        if isinstance(self.scaling, DynamicScaling) and self.d_head < 4:
            raise ConfigError("dynamic scaling needs a d_head of at least 4", where="rope_scaling")
        if isinstance(self.scaling, YarnScaling) and self.base <= 1:
            raise ConfigError(f"yarn scaling needs a base above 1, got {self.base}", where="rope_base")
        if isinstance(self.scaling, LongScaling):
            for name in ("short_factor", "long_factor"):
                given = len(getattr(self.scaling, name))
                if given != self.d_head // 2:
                    raise ConfigError(f"{given} factors in {name} for {self.d_head // 2} pairs", where="rope_scaling")

    def fixed_up_to(self, length: float) -> bool:
        """Whether every text of at most `length` tokens is turned by the same frequencies."""
        return not isinstance(self.scaling, (DynamicScaling, LongScaling)) or length <= self.scaling.original_len

    def __call__(self, position_ids: Tensor | None, length: int, offset: int, device: torch.device) -> Rotation:
        """Angles for given positions (B, T), or for `offset` … `offset + length - 1`."""
        end: Tensor | int = offset + length
        if position_ids is None:
            position_ids = torch.arange(offset, offset + length, device=device)[None]
        elif not self.fixed_up_to(math.inf):
            end = position_ids.amax() + 1
        if self.scaling is None:
            angles = position_ids[..., None].float() * plain_frequencies(self.d_head, self.base, device)
            return Rotation(angles.cos(), angles.sin())
        angles = position_ids[..., None].float() * self.scaling.frequencies(self.d_head, self.base, end, device)
        scale = self.scaling.attention_scale
        return Rotation(angles.cos() * scale, angles.sin() * scale)


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
