"""Ways to stretch rotary positions past the length that a model was trained for. K d_head.

Each is a small setting that turns the plain frequencies `base^(-2j/K)` into others, and may scale the cosines and
sines by an attention factor. All but two depend on nothing else; `DynamicScaling` and `LongScaling` look at the
length of the text as well, that is at the largest position in the batch.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from hanmo.core.settings import Settings

__all__ = [
    "DynamicScaling",
    "LinearScaling",
    "Llama3Scaling",
    "LongScaling",
    "RopeScaling",
    "YarnScaling",
    "plain_frequencies",
]


def plain_frequencies(d_head: int, base: float | Tensor, device: torch.device) -> Tensor:
    """`base^(-2j/K)` for j = 0 … K/2 - 1 (Su et al., 2021, eq. 15), (K/2,) fp32."""
    exponents = torch.arange(0, d_head, 2, dtype=torch.float32, device=device) / d_head
    return 1.0 / base**exponents


class LinearScaling(Settings):
    """Every position divided by `factor` (Chen et al., 2023, §2.3)."""

    kind: Literal["linear"] = "linear"
    """Tells the ways apart."""
    factor: float = Field(gt=0)
    """How many times longer texts become."""

    @property
    def attention_scale(self) -> float:
        """Factor of cosines and sines."""
        return 1.0

    def frequencies(self, d_head: int, base: float, length: Tensor | int, device: torch.device) -> Tensor:
        """(K/2,) fp32."""
        return plain_frequencies(d_head, base, device) / self.factor


class DynamicScaling(Settings):
    """A base that grows with the text once that is longer than in training (NTK-aware; Peng et al., 2023, §3.4)."""

    kind: Literal["dynamic"] = "dynamic"
    """Tells the ways apart."""
    factor: float = Field(gt=0)
    """How fast the base grows."""
    original_len: int = Field(gt=0)
    """Longest text of training, in tokens."""

    @property
    def attention_scale(self) -> float:
        """Factor of cosines and sines."""
        return 1.0

    def frequencies(self, d_head: int, base: float, length: Tensor | int, device: torch.device) -> Tensor:
        """(K/2,) fp32, for texts of `length` tokens."""
        plain = plain_frequencies(d_head, base, device)
        if not isinstance(length, Tensor):
            if length <= self.original_len:
                return plain
            length = torch.tensor(length, device=device)
        stretch = self.factor * length.clamp(min=self.original_len) / self.original_len - (self.factor - 1)
        grown = plain_frequencies(d_head, base * stretch ** (d_head / (d_head - 2)), device)
        return torch.where(length > self.original_len, grown, plain)


class YarnScaling(Settings):
    """Slow wavelengths divided by `factor`, fast ones kept, a ramp between (YaRN; Peng et al., 2023, §3.2 and §3.3)."""

    kind: Literal["yarn"] = "yarn"
    """Tells the ways apart."""
    factor: float = Field(gt=0)
    """How many times longer texts become."""
    original_len: int = Field(gt=0)
    """Longest text of training, in tokens."""
    attention_factor: float | None = Field(default=None, ge=0)
    """Factor of cosines and sines; by `factor` if None."""
    beta_fast: float = Field(default=32.0, gt=0)
    """Pairs that turn more often than this in a text of training keep their frequency."""
    beta_slow: float = Field(default=1.0, gt=0)
    """Pairs that turn less often than this are divided by `factor`."""
    mscale: float | None = None
    """With `mscale_all_dim`: weights of log(factor) above and below the line in the attention factor."""
    mscale_all_dim: float | None = None
    """See `mscale`."""
    truncate: bool = True
    """Whether the ends of the ramp are whole numbers of pairs."""

    @property
    def attention_scale(self) -> float:
        """Factor of cosines and sines (eq. 22 without the square: it acts on queries and on keys)."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale and self.mscale_all_dim:
            return self._entropy(self.mscale) / self._entropy(self.mscale_all_dim)
        return self._entropy(1.0)

    def _entropy(self, weight: float) -> float:
        return 1.0 if self.factor <= 1 else 0.1 * weight * math.log(self.factor) + 1.0

    def frequencies(self, d_head: int, base: float, length: Tensor | int, device: torch.device) -> Tensor:
        """(K/2,) fp32."""
        plain = plain_frequencies(d_head, base, device)
        first, last = (self._pair_that_turns(times, d_head, base) for times in (self.beta_fast, self.beta_slow))
        if self.truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, d_head - 1)
        width = last - first or 0.001
        ramp = (torch.arange(d_head // 2, dtype=torch.float32) - first) / width
        kept = 1 - ramp.clamp(0, 1).to(device)
        return plain / self.factor * (1 - kept) + plain * kept

    def _pair_that_turns(self, times: float, d_head: int, base: float) -> float:
        """Which pair turns this often in a text of training (eq. 17 solved for the dimension)."""
        return d_head * math.log(self.original_len / (times * 2 * math.pi)) / (2 * math.log(base))


class Llama3Scaling(Settings):
    """Long wavelengths divided by `factor`, short ones kept, a blend between (Llama Team, 2024, §3.4.2)."""

    kind: Literal["llama3"] = "llama3"
    """Tells the ways apart."""
    factor: float = Field(gt=0)
    """How many times longer texts become."""
    original_len: int = Field(gt=0)
    """Longest text of training, in tokens."""
    low_freq_factor: float = Field(gt=0)
    """Pairs that turn less often than this in a text of training are divided by `factor`."""
    high_freq_factor: float = Field(gt=0)
    """Pairs that turn more often than this keep their frequency."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"high_freq_factor {self.high_freq_factor} is not above low_freq_factor {self.low_freq_factor}"
            )
        return self

    @property
    def attention_scale(self) -> float:
        """Factor of cosines and sines."""
        return 1.0

    def frequencies(self, d_head: int, base: float, length: Tensor | int, device: torch.device) -> Tensor:
        """(K/2,) fp32."""
        plain = plain_frequencies(d_head, base, device)
        turns = self.original_len / (2 * math.pi / plain)  # of each pair in a text of training
        kept = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
        blend = (1 - kept) * plain / self.factor + kept * plain
        scaled = torch.where(turns < self.low_freq_factor, plain / self.factor, blend)
        return torch.where(turns > self.high_freq_factor, plain, scaled)


class LongScaling(Settings):
    """A factor of its own for each pair, one set for short texts and one for long (LongRoPE; Ding et al., 2024)."""

    kind: Literal["longrope"] = "longrope"
    """Tells the ways apart."""
    short_factor: tuple[float, ...]
    """Factors up to `original_len`, K/2 of them."""
    long_factor: tuple[float, ...]
    """Factors past `original_len`, K/2 of them."""
    original_len: int = Field(gt=1)
    """Longest text of training, in tokens."""
    factor: float = Field(gt=0)
    """How many times longer texts become."""
    attention_factor: float | None = Field(default=None, ge=0)
    """Factor of cosines and sines; by `factor` if None."""

    @property
    def attention_scale(self) -> float:
        """Factor of cosines and sines."""
        if self.attention_factor is not None:
            return self.attention_factor
        return 1.0 if self.factor <= 1 else math.sqrt(1 + math.log(self.factor) / math.log(self.original_len))

    def frequencies(self, d_head: int, base: float, length: Tensor | int, device: torch.device) -> Tensor:
        """(K/2,) fp32, for texts of `length` tokens."""
        wavelengths = 1.0 / plain_frequencies(d_head, base, device)
        short, long = (
            1.0 / (torch.tensor(factors, dtype=torch.float32, device=device) * wavelengths)
            for factors in (self.short_factor, self.long_factor)
        )
        if not isinstance(length, Tensor):
            return long if length > self.original_len else short
        return torch.where(length > self.original_len, long, short)


RopeScaling = Annotated[
    LinearScaling | DynamicScaling | YarnScaling | Llama3Scaling | LongScaling, Field(discriminator="kind")
]
"""Any of them, told apart by `kind`."""
