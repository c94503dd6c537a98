"""One layer: attention and feed-forward, each with a norm and a residual connection around it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hanmo.nn.context import Context
from hanmo.nn.dropout import dropped

__all__ = ["Block", "PostNorm", "PreNorm"]


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module, norm: nn.Module, *, dropout: float = 0.0):
        super().__init__()
        self.norm = norm
        self.inner = inner
        self.dropout = dropout

    def drop(self, x: Tensor) -> Tensor:
        return dropped(x, self.dropout, self.training)


class PreNorm(_Residual):
    """`x + inner(norm(x))`: the residual stream is never normalised (Xiong et al., 2020, fig. 1b)."""

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        return x + self.drop(self.inner(self.norm(x), *rest))


class PostNorm(_Residual):
    """`norm(x + inner(x))`: the first Transformer's order (Vaswani et al., 2017, §3.1)."""

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        return self.norm(x + self.drop(self.inner(x, *rest)))


class Block(nn.Module):
    """A layer made of residual sublayers: attention, cross-attention where there is a source, feed-forward."""

    def __init__(self, *, attention: nn.Module, feedforward: nn.Module, cross_attention: nn.Module | None = None):
        super().__init__()
        self.attention = attention
        self.cross_attention = cross_attention
        self.feedforward = feedforward

    def forward(self, x: Tensor, context: Context, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D); `layer` is the depth, which tells the cache whose keys these are."""
        x = self.attention(x, context, layer)
        if self.cross_attention is not None:
            x = self.cross_attention(x, context, layer)
        return self.feedforward(x)
