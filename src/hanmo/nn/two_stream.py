"""Attention over relative distances with memory (Dai et al., 2019), in one stream or in two (Yang et al., 2019).

The content stream is an ordinary stack: each position sees its own token. The query stream has a vector for each token
to be guessed, which knows the place but not the token; it reads keys and values of the content stream and is read by
nobody.

Shapes: B batch, T positions, M positions in memory, S = M + T keys, P targets, D d_model, H heads, K d_head,
R distances. A key at position j is seen from position M + i at the distance M + i - j.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.nn.attention import attention_sdpa
from hanmo.nn.block import PostNorm
from hanmo.nn.linear import Linear

__all__ = [
    "Keys",
    "RelativeAttention",
    "TwoStreamBlock",
    "TwoStreamContext",
    "TwoStreamStack",
    "distance_vectors",
    "init_relative",
    "relative_distances",
    "shift_distances",
]


@dataclass(frozen=True, kw_only=True)
class TwoStreamContext:
    """What all layers of one forward pass share."""

    distances: Tensor
    """Vectors of the distances S, S - 1, … (see `relative_distances`), (1 or B, R, D)."""
    content_mask: Tensor | None = None
    """Which keys the content stream may look at, broadcastable to (B, 1, T, S), bool; None for all."""
    query_mask: Tensor | None = None
    """The same for the query stream."""
    other_segment: Tensor | None = None
    """Whether query and key are of different segments, (B, 1, T, S) bool; None where segments are not told apart."""
    targets: Tensor | None = None
    """Where the vectors of the query stream stand, (B, P, T), one 1 in each row; None if they stand at all positions."""


class Keys(NamedTuple):
    """What both streams of a layer look at."""

    k: Tensor
    """(B, H, S, K)."""
    v: Tensor
    """(B, H, S, K)."""
    distances: Tensor
    """(1 or B, H, R, K)."""


def relative_distances(n_queries: int, n_keys: int, *, backward: bool, device: torch.device | None = None) -> Tensor:
    """The distances that are needed for T queries, the last of S positions.

    Args:
        backward: whether keys after the query are looked at as well (negative distances).

    Returns:
        S, S - 1, …, down to 1 - T, or to 0; (R,) fp32.
    """
    return torch.arange(n_keys, -n_queries if backward else -1, -1, device=device).float()


def distance_vectors(distances: Tensor, d_model: int) -> Tensor:
    """Sines, then cosines, of wavelengths from 2π to 2π · 10,000 (Vaswani et al., 2017, §3.5); (R,) → (R, D) fp32.

    Raises:
        ConfigError: if D is odd.
    """
    if d_model % 2:
        raise ConfigError(f"sinusoidal distances need an even d_model, got {d_model}", where="d_model")
    exponents = torch.arange(0, d_model, 2, dtype=torch.float32, device=distances.device) / d_model
    angles = distances[:, None] * (1 / 10_000**exponents)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


def shift_distances(scores: Tensor, n_keys: int) -> Tensor:
    """From scores by distance to scores by key (Dai et al., 2019, appendix B).

    Row i needs distances M + i, M + i - 1, …: each row starts one column before the row above. Leaving out the first T
    numbers and reading the rest in rows that are shorter by one does just that, without a copy.

    Args:
        scores: of distances S, S - 1, …; (B, H, T, R).
        n_keys: S.

    Returns:
        (B, H, T, S), a view; distances beyond the last one given hold numbers that a mask must hide.
    """
    n_queries, n_distances = scores.shape[-2:]
    return scores.flatten(-2)[..., n_queries:].unflatten(-1, (n_queries, n_distances - 1))[..., :n_keys]


class RelativeAttention(nn.Module):
    """Attention whose scores add what query and key say to what query and distance, and query and segment, say."""

    def __init__(self, d_model: int, n_heads: int, *, dropout: float = 0.0):
        """`dropout`: probability of dropping an attention weight in training."""
        super().__init__()
        if d_model % n_heads:
            raise ConfigError(f"d_model {d_model} is not a multiple of n_heads {n_heads}", where="n_heads")
        self.n_heads = n_heads
        self.d_head = d_model // n_heads
        self.scale = 1 / math.sqrt(self.d_head)
        self.dropout = dropout
        self.q = Linear(d_model, d_model, bias=False)
        self.kv = Linear(d_model, 2 * d_model, bias=False, parts=(d_model, d_model))
        self.distance = Linear(d_model, d_model, bias=False)
        self.out = Linear(d_model, d_model, bias=False)
        shape = (n_heads, self.d_head)
        # u and v of Dai et al., 2019, eq. 5, and the same for segments (Yang et al., 2019, §2.5)
        self.content_bias = nn.Parameter(torch.zeros(shape))
        self.distance_bias = nn.Parameter(torch.zeros(shape))
        self.segment_bias = nn.Parameter(torch.zeros(shape))
        self.segments = nn.Parameter(torch.zeros(2, *shape))

    def keys(self, content: Tensor, context: TwoStreamContext) -> Keys:
        """Memory and content (B, S, D) → what both streams look at."""
        kv = self.kv(content).unflatten(-1, (2 * self.n_heads, self.d_head)).transpose(1, 2)
        k, v = kv.chunk(2, dim=1)
        distances = self.distance(context.distances).unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)
        return Keys(k, v, distances)

    def forward(
        self,
        x: Tensor,
        keys: Keys,
        context: TwoStreamContext,
        mask: Tensor | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """One stream.

        Args:
            x: (B, T, D), or (B, P, D) with `targets`.
            mask: which keys may be looked at, broadcastable to (B, 1, T, S), bool. A query that may look at nothing
                gets zeros.
            targets: (B, P, T) if `x` stands at some positions only.
        """
        q = self.q(x).unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)  # (B, H, T or P, K)
        if targets is not None:
            q = targets.transpose(1, 2)[:, None] @ q  # (B, H, T, K)
        bias = shift_distances(self._plus(q, self.distance_bias) @ keys.distances.transpose(-2, -1), keys.k.shape[2])
        if context.other_segment is not None:
            same, other = torch.einsum("bhtk,ghk->gbht", self._plus(q, self.segment_bias), self.segments)[..., None]
            bias = bias + torch.where(context.other_segment, other, same)
        bias = bias * self.scale
        if mask is not None:
            bias = bias.masked_fill(~mask, -math.inf)
        dropout = self.dropout if self.training else 0.0
        y = attention_sdpa(
            self._plus(q, self.content_bias), keys.k, keys.v, mask=bias, scale=self.scale, dropout=dropout
        )
        if targets is not None:
            y = targets[:, None] @ y  # (B, H, P, K)
        return self.out(y.transpose(1, 2).flatten(-2))

    @staticmethod
    def _plus(q: Tensor, bias: Tensor) -> Tensor:
        return q + bias[:, None]  # (B, H, T, K) + (H, 1, K)


class TwoStreamBlock(nn.Module):
    """A layer: relative attention and feed-forward, the same weights for both streams."""

    def __init__(self, *, attention: PostNorm, feedforward: PostNorm):
        """`attention`: around a `RelativeAttention`."""
        super().__init__()
        self.attention = attention
        self.feedforward = feedforward

    def forward(
        self, content: Tensor, queries: Tensor | None, context: TwoStreamContext, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Content (B, T, D) and queries (B, P, D) or None, with memory (B, M, D) or None → the same of the next layer."""
        relative = self.attention.inner
        assert isinstance(relative, RelativeAttention)
        keys = relative.keys(content if memory is None else torch.cat((memory, content), dim=1), context)
        if queries is not None:
            queries = self.attention(queries, keys, context, context.query_mask, context.targets)
            queries = self.feedforward(queries)
        content = self.attention(content, keys, context, context.content_mask)
        return self.feedforward(content), queries


class TwoStreamStack(nn.Module):
    """Layers one after another."""

    def __init__(self, layers: Sequence[TwoStreamBlock]):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(
        self,
        content: Tensor,
        queries: Tensor | None,
        context: TwoStreamContext,
        memories: Sequence[Tensor] | None = None,
        seen: list[tuple[Tensor, Tensor | None]] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Both streams through all layers.

        Args:
            content: (B, T, D).
            queries: (B, P, D), or None for the content stream alone.
            memories: what each layer saw in the segment before, n_layers times (B, M, D).
            seen: if a list, both streams before each layer and after the last are appended to it.
        """
        for depth, layer in enumerate(self.layers):
            if seen is not None:
                seen.append((content, queries))
            content, queries = layer(content, queries, context, memories[depth] if memories is not None else None)
        if seen is not None:
            seen.append((content, queries))
        return content, queries


def init_relative(module: nn.Module, std: float) -> None:
    """Biases and segments of relative attention from N(0, std²), which `init_normal` does not know; nothing on meta."""
    for part in module.modules():
        if isinstance(part, RelativeAttention) and not part.segments.is_meta:
            for parameter in (part.content_bias, part.distance_bias, part.segment_bias, part.segments):
                nn.init.normal_(parameter, std=std)
