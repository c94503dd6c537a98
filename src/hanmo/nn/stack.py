"""Layers one after another, each with its own weights or some sharing them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from hanmo.nn.context import Context
from hanmo.nn.dropout import dropped

__all__ = ["Stack"]


class Stack(nn.Module):
    """Run `layers` in `order`, then the norm that a pre-norm stack ends with.

    Args:
        layers: the distinct layers.
        norm: applied to the last output, or None.
        order: which layer runs at each depth; once each if None. `[0] * 12` runs one layer twelve times, as
            cross-layer parameter sharing does (Lan et al., 2020, §3.1).
        dropout: probability of dropping an element of the last output in training.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        norm: nn.Module | None = None,
        order: Sequence[int] | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.order = tuple(range(len(layers)) if order is None else order)
        self.norm = norm
        self.dropout = dropout

    def forward(self, x: Tensor, context: Context, seen: list[Tensor] | None = None) -> Tensor:
        """(B, T, D) → (B, T, D).

        Args:
            x: embeddings.
            context: what all layers share.
            seen: if a list, the input of each layer and the final output are appended to it.
        """
        for depth, index in enumerate(self.order):
            if seen is not None:
                seen.append(x)
            x = self.layers[index](x, context, depth)
        if self.norm is not None:
            x = self.norm(x)
        if self.dropout:
            x = dropped(x, self.dropout, self.training)
        if seen is not None:
            seen.append(x)
        return x
