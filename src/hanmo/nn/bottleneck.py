"""A small network behind a frozen linear layer (Houlsby et al., 2019, fig. 2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.nn.dropout import dropped
from hanmo.nn.feedforward import named_activation
from hanmo.nn.frozen_linear import compute_dtype

__all__ = ["Bottleneck", "BottleneckLinear"]


class Bottleneck(nn.Module):
    """`y + U act(D y + d) + u`, which begins as y."""

    def __init__(self, width: int, d_bottleneck: int, *, activation: str, dropout: float = 0.0):
        """Args:
        width: of y.
        d_bottleneck: width in the middle.
        activation: its name.
        dropout: probability of dropping an element in the middle in training.
        """
        super().__init__()
        self.act, self.dropout = named_activation(activation), dropout
        self.down = nn.Parameter(torch.empty(d_bottleneck, width))
        self.down_bias = nn.Parameter(torch.zeros(d_bottleneck))
        self.up = nn.Parameter(torch.zeros(width, d_bottleneck))
        self.up_bias = nn.Parameter(torch.zeros(width))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, y: Tensor) -> Tensor:
        """(..., O) → (..., O)."""
        middle = self.act(F.linear(y, self.down, self.down_bias))
        return y + F.linear(dropped(middle, self.dropout, self.training), self.up, self.up_bias)


class BottleneckLinear(nn.Module):
    """A frozen linear layer, then a bottleneck."""

    def __init__(self, base: nn.Module, part: Bottleneck):
        super().__init__()
        self.base, self.part = base, part

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) → (..., O)."""
        y: Tensor = self.base(x.to(compute_dtype(x)))
        return self.part(y)
