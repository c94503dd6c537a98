"""Keys and values of the positions that a decoder has already seen, and of the source that it looks at.

Shapes: L layers, B batch, G key/value heads, T new positions, S all positions, K d_head.

A forward pass calls `update` once per layer and, when all layers are through, `advance` once: a pass that fails
half-way leaves the cache as it was.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError

__all__ = ["Cache", "GrowingCache", "Seq2SeqCache", "SourceCache", "StaticCache"]


class Cache(Protocol):
    """What attention needs of a cache."""

    @property
    def length(self) -> int:
        """Number of positions held, before those of the pass under way."""
        ...

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v (B, G, T, K) of one layer; return all its keys and values (B, G, length + T, K)."""
        ...

    def advance(self, n: int) -> None:
        """Count `n` positions as held; called once, after the last layer."""
        ...


class GrowingCache:
    """Starts empty and takes what comes; gradients flow through it."""

    def __init__(self) -> None:
        self.length = 0
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v (B, G, T, K) of one layer; return all its keys and values (B, G, length + T, K).

        Raises:
            ConfigError: if the number of rows changes.
        """
        if layer < len(self.keys):
            if self.length and k.shape[0] != self.keys[layer].shape[0]:
                raise _wrong_rows(self.keys[layer].shape[0], k.shape[0])
            if self.length:
                k = torch.cat((self.keys[layer][:, :, : self.length], k), dim=2)
                v = torch.cat((self.values[layer][:, :, : self.length], v), dim=2)
            self.keys[layer], self.values[layer] = k, v
        else:
            self.keys.append(k)
            self.values.append(v)
        return k, v

    def advance(self, n: int) -> None:
        """Count `n` positions as held."""
        self.length += n

    def select(self, rows: Tensor) -> None:
        """Make the i-th row a copy of what is now row `rows[i]`; there may be more rows afterwards, or fewer."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]


class StaticCache:
    """Allocated once, written in place: no copy of the past at each step. For inference only."""

    def __init__(
        self,
        n_layers: int,
        batch: int,
        n_kv_heads: int,
        max_len: int,
        d_head: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        shape = (n_layers, batch, n_kv_heads, max_len, d_head)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.max_len = max_len
        self.length = 0

    def update(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k, v (B, G, T, K) of one layer; return views of all its keys and values (B, G, length + T, K).

        Raises:
            ConfigError: if the cache is full, made for another batch size, or would have to carry gradients.
        """
        end = self.length + k.shape[2]
        if end > self.max_len:
            raise ConfigError(
                f"{end} positions do not fit into a cache of {self.max_len}",
                where="past_key_values",
                remedy="Make the StaticCache as long as prompt and continuation together.",
            )
        if k.shape[0] != self.keys.shape[1]:
            raise _wrong_rows(self.keys.shape[1], k.shape[0])
        if k.requires_grad:
            raise ConfigError(
                "a StaticCache carries no gradients",
                where="past_key_values",
                remedy="Use torch.no_grad(), or a GrowingCache.",
            )
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, n: int) -> None:
        """Count `n` positions as held."""
        self.length += n

    def reset(self) -> None:
        """Forget everything; the memory is kept."""
        self.length = 0


class SourceCache:
    """What cross-attention looks at, computed once for a source; gradients flow through it."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[Tensor, Tensor]] = {}
        self.mask: Tensor | None = None
        """Which positions of the source are real, (B, S), if some may not be."""

    @property
    def shape(self) -> tuple[int, int] | None:
        """Rows and positions of the source, or None while it is empty."""
        for keys, _ in self.held.values():
            return keys.shape[0], keys.shape[2]
        return None

    def get(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """Keys and values of one layer (B, H, S, K), if they are there."""
        return self.held.get(layer)

    def put(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep k, v (B, H, S, K) of one layer, and return them, laid out for being read often."""
        self.held[layer] = k.contiguous(), v.contiguous()
        return self.held[layer]

    def select(self, rows: Tensor) -> None:
        """Make the i-th row a copy of what is now row `rows[i]`."""
        self.held = {layer: (k[rows], v[rows]) for layer, (k, v) in self.held.items()}
        self.mask = None if self.mask is None else self.mask[rows]


class Seq2SeqCache:
    """Of a decoder with a source: its own positions, and the source. n rows after each other may share a source."""

    def __init__(self, own: GrowingCache | StaticCache | None = None):
        """`own`: for the decoder's positions; a `GrowingCache` if None."""
        self.own = GrowingCache() if own is None else own
        self.source = SourceCache()

    @property
    def length(self) -> int:
        """Number of the decoder's positions held."""
        return self.own.length

    def advance(self, n: int) -> None:
        """Count `n` positions of the decoder as held."""
        self.own.advance(n)

    def select(self, rows: Tensor) -> None:
        """Make the i-th row a copy of what is now row `rows[i]`.

        Rows that share a source must stay neighbours, and all sources keep or get the same number of rows; a source
        that no row is left of is dropped.
        """
        assert isinstance(self.own, GrowingCache), "rows of a StaticCache stay where they are"
        shape = self.source.shape
        assert shape is not None, "nothing to select from before the first pass"
        sources = (rows // (self.own.keys[0].shape[0] // shape[0])).unique_consecutive()
        self.own.select(rows)
        if len(sources) < shape[0]:
            self.source.select(sources)


def _wrong_rows(held: int, given: int) -> ConfigError:
    return ConfigError(f"this cache holds {held} rows, the input has {given}", where="past_key_values")
