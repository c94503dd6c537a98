"""Attention of a recurrent decoder over its source, by one score per position.

Shapes: B batch, Q queries, S source positions, D width of a query, E width of the source, A width of the comparison.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Linear

__all__ = [
    "AdditiveAttention",
    "Attended",
    "DotAttention",
    "GeneralAttention",
    "ScoreName",
    "Source",
    "attention_named",
]

ScoreName = Literal["additive", "dot", "general", "concat"]


class Source(NamedTuple):
    """What is looked at; prepared once, looked at in every step."""

    values: Tensor
    """(B, S, E)."""
    keys: Tensor
    """What queries are compared with, (B, S, A)."""
    mask: Tensor | None
    """(B, S), True for real positions; None if all are."""

    def select(self, rows: Tensor) -> Source:
        """These rows, in this order; some may come twice."""
        return Source(self.values[rows], self.keys[rows], self.mask[rows] if self.mask is not None else None)


class Attended(NamedTuple):
    """What came of looking."""

    context: Tensor
    """Weighted sum of the source, (B, Q, E); zeros where a row has no source."""
    weights: Tensor
    """Share of each position, (B, Q, S); zeros for padding."""


class _SourceAttention(nn.Module, ABC):
    """What the scores have in common."""

    @abstractmethod
    def keys(self, values: Tensor) -> Tensor:
        """What of the source does not depend on the query, (B, S, E) → (B, S, A)."""

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """(B, Q, D), (B, S, A) → (B, Q, S)."""

    def prepare(self, values: Tensor, mask: Tensor | None = None) -> Source:
        """Source (B, S, E) with its mask (B, S).

        Raises:
            ConfigError: if the mask has another shape.
        """
        if mask is not None and mask.shape != values.shape[:2]:
            raise ConfigError(
                f"attention_mask has shape {tuple(mask.shape)}, expected {tuple(values.shape[:2])}",
                where="attention_mask",
            )
        return Source(values, self.keys(values), mask.to(torch.bool) if mask is not None else None)

    def forward(self, query: Tensor, source: Source) -> Attended:
        """Look at the source with each query, (B, Q, D)."""
        scores = self.scores(query, source.keys)  # (B, Q, S)
        if source.mask is None:
            weights = scores.softmax(-1)
        else:
            seen = source.mask[:, None]
            # a finite floor, and zeros after it: a row without any source gives zeros, not NaN
            weights = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(-1) * seen
        return Attended(weights @ source.values, weights)


class AdditiveAttention(_SourceAttention):
    """`vᵀ tanh(W q + U s)` (Bahdanau et al., 2015, appendix A.1.2).

    Luong et al. (2015, eq. 8) call it concat: `W [q; s]` is `W q + U s`.
    """

    def __init__(self, d_query: int, d_source: int, width: int):
        """`width`: A."""
        super().__init__()
        self.query = Linear(d_query, width, bias=False)
        self.source = Linear(d_source, width, bias=False)
        self.score = Linear(width, 1, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        """`U s`."""
        return self.source(values)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """`vᵀ tanh(W q + keys)`."""
        return self.score((self.query(query)[:, :, None] + keys[:, None]).tanh()).squeeze(-1)


class DotAttention(_SourceAttention):
    """`q · s` (Luong et al., 2015, eq. 8); both of one width."""

    def keys(self, values: Tensor) -> Tensor:
        """The source itself."""
        return values

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """`q · keys`."""
        return query @ keys.mT


class GeneralAttention(_SourceAttention):
    """`qᵀ W s` (Luong et al., 2015, eq. 8)."""

    def __init__(self, d_query: int, d_source: int):
        super().__init__()
        self.source = Linear(d_source, d_query, bias=False)

    def keys(self, values: Tensor) -> Tensor:
        """`W s`."""
        return self.source(values)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """`q · keys`."""
        return query @ keys.mT


def attention_named(
    name: ScoreName, d_query: int, d_source: int
) -> AdditiveAttention | DotAttention | GeneralAttention:
    """The attention with this score; concat is the additive one under Luong's name.

    Raises:
        ConfigError: if there is none, or widths differ where they must not.
    """
    if name not in get_args(ScoreName):
        raise ConfigError(
            f"unknown attention {name!r}", where="attention", remedy=f"Choose one of {', '.join(get_args(ScoreName))}."
        )
    if name == "dot":
        if d_query != d_source:
            raise ConfigError(f"a dot product of widths {d_query} and {d_source}", where="attention")
        return DotAttention()
    if name == "general":
        return GeneralAttention(d_query, d_source)
    return AdditiveAttention(d_query, d_source, d_query)
