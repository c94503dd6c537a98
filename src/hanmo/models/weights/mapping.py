"""Rules between our parameters and the tensors of a public checkpoint, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Rule"]


@dataclass(frozen=True)
class Rule:
    """One of our parameters and what it is made of there.

    A part is a slice of our rows: fused projections are their parts one below the other. `transposed` says that
    the other side stores (in, out) where we store (out, in).
    """

    ours: str
    """Name in our `state_dict`."""
    theirs: tuple[str, ...]
    """Names of the parts, in the order of our rows."""
    rows: tuple[int, ...] = ()
    """Rows of each part; all rows if there is one part."""
    transposed: bool = False
    """Whether each part is stored the other way round."""
    twin: str | None = None
    """A second name for the same values: written too, read only where the first is missing."""

    def shapes(self, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """The shape that each part should have, given the shape of our parameter."""
        shapes = {}
        for name, rows in zip(self.theirs, self.rows or (shape[0],), strict=True):
            part = (rows, *shape[1:])
            shapes[name] = part[::-1] if self.transposed else part
        return shapes

    def gather(self, parts: dict[str, Tensor], into: Tensor) -> None:
        """Fill our parameter from its parts, converting the dtype on the way."""
        for name, rows in zip(self.theirs, torch.split(into, list(self.rows) or into.shape[0]), strict=True):
            rows.copy_(parts[name].t() if self.transposed else parts[name])

    def scatter(self, ours: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the parts of our parameter (views) by name."""
        for name, rows in zip(self.theirs, torch.split(ours, list(self.rows) or ours.shape[0]), strict=True):
            yield name, rows.t() if self.transposed else rows
