"""The position-wise feed-forward layer, plain or gated. D d_model, F d_ff."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
from hanmo.nn.linear import Linear

__all__ = ["ACTIVATIONS", "FeedForward", "GatedFeedForward", "named_activation"]


def _quick_gelu(x: Tensor) -> Tensor:
    return x * (1.702 * x).sigmoid()


def _relu_squared(x: Tensor) -> Tensor:
    # So et al., 2021 ("Primer"), §4.1
    return F.relu(x).square()


def _gelu_tanh(x: Tensor) -> Tensor:
    # the same by (1 + tanh z) / 2 = sigmoid(2 z): compiled graphs take four times as long for a tanh
    if torch.compiler.is_compiling():
        return x * (2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).sigmoid()
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": F.relu,
    "relu_squared": _relu_squared,
    "silu": F.silu,
    "quick_gelu": _quick_gelu,
}


def named_activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function of this name.

    Raises:
        ConfigError: if there is none.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(
            f"unknown activation {name!r}", where="activation", remedy=f"Choose one of {', '.join(ACTIVATIONS)}."
        )
    return ACTIVATIONS[name]


class FeedForward(nn.Module):
    """`act(x W₁ + b₁) W₂ + b₂` (Vaswani et al., 2017, eq. 2)."""

    def __init__(self, d_model: int, d_ff: int, *, activation: str, bias: bool = True, dropout: float = 0.0):
        """`dropout`: probability of dropping an element before the second matrix in training."""
        super().__init__()
        self.dropout = dropout
        self.act = named_activation(activation)
        self.up = Linear(d_model, d_ff, bias=bias)
        self.out = Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.up(x))
        return self.out(dropped(x, self.dropout, self.training))


class GatedFeedForward(nn.Module):
    """`(act(x W_gate) ⊙ x W_up) W_out` (Shazeer, 2020, eq. 5 and 6); gate and up are one matrix product."""

    def __init__(self, d_model: int, d_ff: int, *, activation: str, bias: bool = False, dropout: float = 0.0):
        """`dropout`: probability of dropping an element before the last matrix in training."""
        super().__init__()
        self.dropout = dropout
        self.act = named_activation(activation)
        self.gate_up = Linear(d_model, 2 * d_ff, bias=bias, parts=(d_ff, d_ff))
        self.out = Linear(d_ff, d_model, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (B, T, F) each
        x = self.act(gate) * up
        return self.out(dropped(x, self.dropout, self.training))
