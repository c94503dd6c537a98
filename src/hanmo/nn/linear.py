"""torch's two weight matrices, which stay empty on the meta device.

There a model is only a plan that a checkpoint fills. Drawing numbers for it changes nothing, but makes torch import its
symbolic shape machinery: more than a second and 70 MB for each start of a program.
"""

from __future__ import annotations

from torch import nn

__all__ = ["Linear", "Lookup"]


class Linear(nn.Linear):
    """`x Wᵀ + b`, weight (out, in).

    Where several projections of the same input are one product, `parts` says how many rows each has: an optimizer
    that treats a matrix as a whole must treat each of them so.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, parts: tuple[int, ...] | None = None):
        """`parts`: rows of each projection, in order; one projection if None."""
        super().__init__(in_features, out_features, bias)
        self.parts = (out_features,) if parts is None else parts
        assert sum(self.parts) == out_features

    def reset_parameters(self) -> None:
        """Draw fresh weights, unless this is a plan."""
        if not self.weight.is_meta:
            super().reset_parameters()


class Lookup(nn.Embedding):
    """A row of the weight (n, D) for each id."""

    def reset_parameters(self) -> None:
        """Draw fresh weights, unless this is a plan."""
        if not self.weight.is_meta:
            super().reset_parameters()
