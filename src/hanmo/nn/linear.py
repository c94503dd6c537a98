"""torch's two weight matrices, which stay empty on the meta device.

There a model is only a plan that a checkpoint fills. Drawing numbers for it changes nothing, but makes torch import its
symbolic shape machinery: more than a second and 70 MB for each start of a program.
"""

from __future__ import annotations

from torch import nn

__all__ = ["Linear", "Lookup"]


class Linear(nn.Linear):
    """`x Wᵀ + b`, weight (out, in)."""

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
