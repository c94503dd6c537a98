"""One vector for a row, by a choice of the settings."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from hanmo.models.heads import Encoded
from hanmo.nn.linear import Linear

__all__ = ["SequenceSummary", "SummaryKind"]

SummaryKind = Literal["last", "first", "mean", "cls_index"]


class SequenceSummary(nn.Module):
    """The last, first or mean vector of a row, then a matrix and tanh. D d_model.

    "Last" is the last position whatever stands there: such models are made for padding on the left, with the
    classification token at the end.
    """

    def __init__(self, d_model: int, *, kind: SummaryKind, dense: bool, tanh: bool):
        """Args:
        kind: which vector; "cls_index", where no index is given, is the last one.
        dense: whether it goes through a matrix.
        tanh: whether it is squashed then.
        """
        super().__init__()
        self.kind = kind
        self.dense = Linear(d_model, d_model) if dense else None
        self.tanh = tanh

    def forward(self, encoded: Encoded) -> Tensor:
        """(B, T, D) → (B, D)."""
        hidden = encoded.output.last_hidden_state
        match self.kind:
            case "first":
                x = hidden[:, 0]
            case "mean":
                x = hidden.mean(1)
            case _:
                x = hidden[:, -1]
        if self.dense is not None:
            x = self.dense(x)
        return x.tanh() if self.tanh else x
