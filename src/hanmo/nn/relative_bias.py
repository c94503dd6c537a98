"""A learned number for how far a key is from a query, added to the scores of every layer.

Shapes: H heads, T query positions, S key positions. Queries are always the last T of the S positions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Lookup

__all__ = ["RelativeBias", "biased_mask", "distance_buckets"]


def distance_buckets(distance: Tensor, *, n_buckets: int, max_distance: int, both_ways: bool) -> Tensor:
    """Near distances have a bucket each, farther ones share buckets that grow with the logarithm (Raffel et al., 2020,
    §2.1).

    Args:
        distance: position of the key minus that of the query, any shape, int64.
        n_buckets: how many there are.
        max_distance: this and all greater distances share the last bucket.
        both_ways: half of the buckets are for keys after the query; otherwise those are all at distance 0.

    Returns:
        Numbers of buckets in 0 … n_buckets - 1, int64, of the same shape.
    """
    first = torch.zeros_like(distance)
    if both_ways:
        n_buckets //= 2
        first = (distance > 0) * n_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    n_exact = n_buckets // 2
    # clamped to keep the logarithm finite where the exact bucket is taken anyway
    ratio = (distance.float() / n_exact).clamp(min=1.0).log() / math.log(max_distance / n_exact)
    shared = (n_exact + (ratio * (n_buckets - n_exact)).long()).clamp(max=n_buckets - 1)
    return first + torch.where(distance < n_exact, distance, shared)


class RelativeBias(Lookup):
    """One number per bucket of distances and head, (n_buckets, H), shared by all layers of a stack."""

    def __init__(self, n_buckets: int, n_heads: int, *, max_distance: int, both_ways: bool):
        """See `distance_buckets`.

        Raises:
            ConfigError: if there are too few buckets, or they reach further than `max_distance`.
        """
        n_exact = n_buckets // (4 if both_ways else 2)
        if n_exact < 1 or max_distance <= n_exact:
            raise ConfigError(
                f"{n_buckets} buckets do not reach from 0 to a distance of {max_distance}",
                where="n_buckets",
                remedy="There must be at least 4, and max_distance greater than half of those on one side.",
            )
        super().__init__(n_buckets, n_heads)
        self.max_distance = max_distance
        self.both_ways = both_ways

    def forward(self, n_queries: int, n_keys: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The bias of each query and key, (1, H, T, S)."""
        keys = torch.arange(n_keys, device=self.weight.device)
        distance = keys - keys[n_keys - n_queries :, None]  # (T, S)
        buckets = distance_buckets(
            distance, n_buckets=self.num_embeddings, max_distance=self.max_distance, both_ways=self.both_ways
        )
        return F.embedding(buckets, self.weight).permute(2, 0, 1)[None]


def biased_mask(bias: Tensor, mask: Tensor | None) -> Tensor:
    """One mask that adds `bias` where `mask` (bool, broadcastable) lets a query look, and -inf elsewhere."""
    return bias if mask is None else bias.masked_fill(~mask, -math.inf)
