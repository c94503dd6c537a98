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
    stored: tuple[int, ...] = ()
    """Shape of each part there, where the same numbers have other axes."""

    def shapes(self, shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """The shape that each part should have, given the shape of our parameter."""
        shapes = {}
        for name, rows in zip(self.theirs, self.rows or (None,), strict=True):
            part = tuple(shape) if rows is None else (rows, *shape[1:])
            shapes[name] = self.stored or (part[::-1] if self.transposed else part)
        return shapes

    def gather(self, parts: dict[str, Tensor], into: Tensor) -> None:
        """Fill our parameter from its parts, converting the dtype on the way."""
        for name, rows in zip(self.theirs, self._split(into), strict=True):
            part = parts[name]
            if self.stored:
                part = part.reshape(rows.shape[::-1] if self.transposed else rows.shape)
            rows.copy_(part.t() if self.transposed else part)

    def scatter(self, ours: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the parts of our parameter (views) by name."""
        for name, rows in zip(self.theirs, self._split(ours), strict=True):
            part = rows.t() if self.transposed else rows
            yield name, part.view(self.stored) if self.stored else part

    def _split(self, ours: Tensor) -> Sequence[Tensor]:
        return torch.split(ours, list(self.rows)) if self.rows else (ours,)
