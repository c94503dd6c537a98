"""Sparse attention: each position looks at some others only, chosen by a pattern.

Shapes: B batch, T query positions, S key positions, H heads, G key/value heads, K d_head, N blocks.

A pattern says which distances and which first tokens are seen. It has two forms that give the same result: `mask`, the
dense one, for any attention, whose cost grows with T · S; and `attention_blocks`, whose cost grows with T, because each
block of queries is compared with the blocks near it and with the global tokens alone (Child et al., 2019; Beltagy et
al., 2020). Positions are counted per text and without padding: a text means the same wherever it stands in a row.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.settings import Settings

__all__ = [
    "BlockSparse",
    "Dense",
    "Layout",
    "LocalGlobal",
    "Pattern",
    "SlidingWindow",
    "SparsePattern",
    "attention_blocks",
]

_SMALLEST_BLOCK = 32
_BLOCKS_PER_WINDOW = 2
"""More of them compare fewer pairs that no window holds, but copy each key more often."""


@dataclass(frozen=True)
class Layout:
    """What stands where in the rows of a batch."""

    causal: bool
    """Each position sees only itself and earlier ones."""
    real: Tensor | None = None
    """(B, S) bool, False for padding; None if there is none."""
    texts: Tensor | None = None
    """(B, S) int64, the number of the text that a token belongs to, where several share a row; None if none do."""

    def positions(self, n_keys: int, device: torch.device) -> Tensor:
        """Number of each token within its own text, (B or 1, S); padding gets that of the token before it."""
        columns = torch.arange(n_keys, device=device)[None]
        if self.texts is not None:
            new = self.texts.diff(dim=-1, prepend=self.texts[:, :1]) != 0
            return columns - (columns * new).cummax(dim=-1).values
        if self.real is not None:
            return (self.real.long().cumsum(-1) - 1).clamp(min=0)
        return columns


class SparsePattern(Settings):
    """Base of patterns: what the dense and the block form need to know of one."""

    @property
    @abstractmethod
    def block(self) -> int:
        """Positions in a block of the fast form."""

    @property
    @abstractmethod
    def reach(self) -> tuple[int, ...]:
        """How many blocks away a block of keys may be, in rising order from 0."""

    @property
    def n_first(self) -> int:
        """How many first tokens see and are seen by all."""
        return 0

    @abstractmethod
    def near(self, query: Tensor, key: Tensor) -> Tensor:
        """Whether the position `query` sees the position `key`, leaving order and first tokens aside."""

    def sees(self, query: Tensor, key: Tensor) -> Tensor:
        """Whether the position `query` sees the position `key`, leaving order aside; shapes are broadcast."""
        seen = self.near(query, key)
        return seen if self.n_first == 0 else seen | (key < self.n_first) | (query < self.n_first)

    def mask(self, n_queries: int, n_keys: int, layout: Layout, device: torch.device | None = None) -> Tensor:
        """The dense form: True where a query may look.

        Args:
            n_queries: T; the queries are the last T of the S positions.
            n_keys: S.
            layout: order, padding and texts of the S positions.
            device: where to put it.

        Returns:
            (B or 1, 1, T, S) bool; padding sees nothing.
        """
        device = torch.device("cpu") if device is None else device
        positions = layout.positions(n_keys, device)
        seen = self.sees(positions[:, -n_queries:, None], positions[:, None, :])
        if layout.causal:
            columns = torch.arange(n_keys, device=device)
            seen = seen & (columns <= columns[-n_queries:, None])
        if layout.texts is not None:
            seen = seen & (layout.texts[:, -n_queries:, None] == layout.texts[:, None, :])
        if layout.real is not None:
            seen = seen & layout.real[:, -n_queries:, None] & layout.real[:, None, :]
        return seen[:, None]

    def worth_blocks(self, n_queries: int, n_keys: int, layout: Layout) -> bool:
        """Whether the block form can compute this, and compares fewer pairs than the dense form."""
        if n_queries != n_keys or layout.texts is not None:
            return False
        sides = 1 if layout.causal else 2
        compared = (1 + sides * (len(self.reach) - 1)) * self.block + self.n_first
        return 2 * compared <= n_keys


class Dense(Settings):
    """Every position sees every other: for the layers between sparse ones."""

    kind: Literal["dense"] = "dense"
    """Tells patterns apart."""


class SlidingWindow(SparsePattern):
    """Positions nearer than `window` (Child et al., 2019, §4.3; Beltagy et al., 2020, §3.1): with the position itself,
    `window` of them at or before it, and as many at or after it where order does not matter."""

    kind: Literal["sliding_window"] = "sliding_window"
    """Tells patterns apart."""
    window: int = Field(gt=0)
    """Positions seen on a side, the own one included, in tokens."""

    @property
    def block(self) -> int:
        return max(_SMALLEST_BLOCK, -(-self.window // _BLOCKS_PER_WINDOW))

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple(range(1 + -(-(self.window - 1) // self.block)))

    def near(self, query: Tensor, key: Tensor) -> Tensor:
        return (query - key).abs() < self.window


class LocalGlobal(SlidingWindow):
    """A sliding window, and first tokens that see and are seen by all (Beltagy et al., 2020, §3.1); with order, all
    later tokens see them (Xiao et al., 2024, "attention sinks")."""

    kind: Literal["local_global"] = "local_global"  # pyright: ignore[reportIncompatibleVariableOverride]
    """Tells patterns apart."""
    n_global: int = Field(default=1, gt=0)
    """Global tokens at the beginning of a text."""

    @property
    def n_first(self) -> int:
        return self.n_global


class BlockSparse(SparsePattern):
    """Whole blocks: a query sees the blocks of keys that lie `offsets` blocks before its own, and as many after it
    where order does not matter (Child et al., 2019, §4.2). `(0, 1)` is a band; `(0, 1, 4, 16)` a strided pattern."""

    kind: Literal["block_sparse"] = "block_sparse"
    """Tells patterns apart."""
    block_size: int = Field(gt=0)
    """Length of a block, in tokens."""
    offsets: tuple[int, ...] = (0, 1)
    """Distances between blocks, rising from 0."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.offsets[:1] != (0,) or list(self.offsets) != sorted(set(self.offsets)):
            raise ValueError(f"offsets {self.offsets} must rise from 0, so that a token sees itself")
        return self

    @property
    def block(self) -> int:
        return self.block_size

    @property
    def reach(self) -> tuple[int, ...]:
        return self.offsets

    def near(self, query: Tensor, key: Tensor) -> Tensor:
        distance = (query // self.block_size - key // self.block_size).abs()
        seen = torch.zeros_like(distance, dtype=torch.bool)
        for offset in self.offsets:
            seen = seen | (distance == offset)
        return seen


Pattern = Annotated[Dense | SlidingWindow | LocalGlobal | BlockSparse, Field(discriminator="kind")]
"""Any of them, told apart by `kind`."""


def attention_blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: SparsePattern,
    layout: Layout,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attention through a pattern, block by block: as `attention_plain` with `pattern.mask`, in time linear in T.

    Args:
        q: (B, H, T, K).
        k: (B, G, T, K).
        v: (B, G, T, K).
        pattern: who sees whom.
        layout: order and padding; rows of several texts need the dense form.
        scale: 1/√K if None.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, H, T, K). A query that may look at nothing gets zeros.
    """
    assert layout.texts is None
    assert q.shape[2] == k.shape[2]
    if layout.real is None:
        return _blocks(q, k, v, pattern, layout.causal, None, scale, dropout)
    # Real tokens first, so that a token's place is its position.
    order = layout.real.int().argsort(dim=-1, descending=True, stable=True)  # (B, T)
    q, k, v = (_reorder(x, order) for x in (q, k, v))
    y = _blocks(q, k, v, pattern, layout.causal, layout.real.sum(-1), scale, dropout)
    return _reorder(y, order.argsort(dim=-1))


def _reorder(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(2, order[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))


def _blocks(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pattern: SparsePattern,
    causal: bool,
    counts: Tensor | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    B, _, T, _ = q.shape
    b, n_first = pattern.block, min(pattern.n_first, T)
    n_blocks = -(-T // b)
    shifts = [-offset for offset in reversed(pattern.reach) if offset < n_blocks]
    if not causal:
        shifts += [-shift for shift in reversed(shifts) if shift]
    places = torch.arange(n_blocks * b, device=q.device).view(n_blocks, b)
    near = torch.cat([places + shift * b for shift in shifts], dim=1)  # (N, M): the place of each key of a block
    ends = torch.tensor([T], device=q.device) if counts is None else counts
    seen = _seen(pattern, causal, places, near, ends) & (near >= n_first)[:, None]  # (B or 1, N, b, M)
    if n_first:
        first = torch.arange(n_first, device=q.device).expand(n_blocks, -1)
        seen = torch.cat((seen, _seen(pattern, causal, places, first, ends)), dim=-1)

    def around(x: Tensor) -> Tensor:
        """Keys or values of the blocks near each block, then of the first tokens: (B, N, G, M, K)."""
        low, high = -shifts[0], shifts[-1]
        blocks = F.pad(x, (0, 0, low * b, (n_blocks + high) * b - T))
        blocks = blocks.unflatten(2, (low + n_blocks + high, b)).transpose(1, 2)
        parts = [blocks[:, low + shift : low + shift + n_blocks] for shift in shifts]
        if n_first:
            parts.append(x[:, None, :, :n_first].expand(-1, n_blocks, -1, -1, -1))
        return torch.cat(parts, dim=3)

    queries = F.pad(q, (0, 0, 0, n_blocks * b - T)).unflatten(2, (n_blocks, b)).transpose(1, 2)  # (B, N, H, b, K)
    y = F.scaled_dot_product_attention(
        queries.flatten(0, 1),
        around(k).flatten(0, 1),
        around(v).flatten(0, 1),
        attn_mask=seen.expand(B, -1, -1, -1).flatten(0, 1)[:, None],
        dropout_p=dropout,
        scale=scale,
        enable_gqa=q.shape[1] != k.shape[1],
    )
    y = y.unflatten(0, (B, n_blocks)).transpose(1, 2).flatten(2, 3)[:, :, :T]
    if n_first and not causal:
        # First tokens see everything, not only what is near.
        mask = None
        if counts is not None:
            real = torch.arange(T, device=q.device) < counts[:, None]  # (B, T)
            mask = (real[:, :n_first, None] & real[:, None])[:, None]
        top = F.scaled_dot_product_attention(
            q[:, :, :n_first], k, v, attn_mask=mask, dropout_p=dropout, scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        y = torch.cat((top, y[:, :, n_first:]), dim=2)
    return y


def _seen(pattern: SparsePattern, causal: bool, queries: Tensor, keys: Tensor, ends: Tensor) -> Tensor:
    """Which keys (N, M) the queries (N, b) of each block see in rows of so many tokens (B or 1,): (B or 1, N, b, M)."""
    query, key = queries[:, :, None], keys[:, None, :]
    seen = pattern.sees(query, key) & (key >= 0)
    if causal:
        seen = seen & (key <= query)
    ends = ends[:, None, None, None]
    return seen & (key < ends) & (query < ends)
