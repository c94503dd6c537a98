"""Scaled dot-product attention with grouped key/value heads.

Shapes: B batch, T query positions, S key positions, D d_model, H heads, G key/value heads, K d_head.
The T queries are the last T of the S positions; query head h reads key/value head h // (H / G).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.attention_cpu import attention_cpu, fits_cpu
from hanmo.nn.context import Context
from hanmo.nn.dropout import dropped
from hanmo.nn.linear import Linear
from hanmo.nn.masks import causal_mask
from hanmo.nn.norms import RMSNorm
from hanmo.nn.positions import rotate
from hanmo.nn.sparse import SparsePattern, attention_blocks

__all__ = ["CrossAttention", "SelfAttention", "attention", "attention_plain", "attention_sdpa"]


def attention_plain(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """`softmax(q kᵀ scale + mask) v` (Vaswani et al., 2017, eq. 1), step by step.

    Args:
        q: (B, H, T, K).
        k: (B, G, S, K).
        v: (B, G, S, K).
        mask: broadcastable to (B, H, T, S); bool (True = may look) or added to the scores.
        causal: query i sees keys 0 … S - T + i.
        scale: 1/√K if None.
        dropout: probability of dropping an attention weight.

    Returns:
        (B, H, T, K). A query that may look at nothing gets zeros.
    """
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)  # (B, H, S, K)
    scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)  # (B, H, T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    if causal:
        scores = scores.masked_fill(~causal_mask(q.shape[2], k.shape[2], q.device), -math.inf)
    if mask is None and not causal:
        return dropped(scores.softmax(dim=-1), dropout) @ v
    # The softmax of a row without any finite score is 0/0, and so is its gradient: give it scores, then zero weights.
    blind = scores.isneginf().all(dim=-1, keepdim=True)
    if not torch.compiler.is_compiling() and not blind.any():  # a compiler cannot look
        weights = scores.softmax(dim=-1)
    else:
        weights = scores.masked_fill(blind, 0.0).softmax(dim=-1).masked_fill(blind, 0.0)
    return dropped(weights, dropout) @ v


def attention_sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The same function as `attention_plain`, by torch's fused kernels (Dao et al., 2022).

    None of these drops weights on a CPU, where torch does what `attention_plain` does, with slower random numbers.
    """
    if dropout and q.device.type == "cpu":
        return attention_plain(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout)
    n_queries, n_keys = q.shape[2], k.shape[2]
    if n_queries == 1:
        causal = False
    if causal and (mask is not None or n_queries != n_keys):
        # The kernels align a causal mask to the first key, not to the last.
        below = causal_mask(n_queries, n_keys, q.device)
        if mask is None:
            mask = below
        else:
            mask = mask & below if mask.dtype == torch.bool else mask.masked_fill(~below, -math.inf)
        causal = False
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q.dtype)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, scale=scale, dropout_p=dropout, enable_gqa=q.shape[1] != k.shape[1]
    )


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """The same function as `attention_plain`, by the fastest form that there is for these arguments."""
    if fits_cpu(q, k, v, mask, dropout):
        return attention_cpu(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout)
    return attention_sdpa(q, k, v, mask=mask, causal=causal, scale=scale, dropout=dropout)


class SelfAttention(nn.Module):
    """Multi-head attention over the input itself; queries, keys and values are one matrix product."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        out_bias: bool | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
        qk_norm_eps: float | None = None,
        pattern: SparsePattern | None = None,
    ):
        """Args:
        n_kv_heads: key/value heads, each shared by n_heads / n_kv_heads query heads (Ainslie et al., 2023).
        d_head: width of a head; d_model / n_heads if None.
        bias: whether queries, keys and values have biases.
        out_bias: whether the output projection has one; as `bias` if None.
        scale: factor of the scores; 1/√d_head if None.
        dropout: probability of dropping an attention weight in training.
        qk_norm_eps: if given, each query and each key is normalised over its head (Henry et al., 2020; RMSNorm), with
            this added to the mean square.
        pattern: which positions see which; all if None.
        """
        super().__init__()
        self.n_heads = n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.d_head = _head_width(d_model, n_heads, d_head)
        if n_heads % self.n_kv_heads:
            raise ConfigError(
                f"n_heads {n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}", where="n_kv_heads"
            )
        self.scale = 1 / math.sqrt(self.d_head) if scale is None else scale
        self.dropout = dropout
        self.pattern = pattern
        rows = (n_heads * self.d_head, self.n_kv_heads * self.d_head, self.n_kv_heads * self.d_head)
        self.qkv = Linear(d_model, sum(rows), bias=bias, parts=rows)
        self.out = Linear(n_heads * self.d_head, d_model, bias=bias if out_bias is None else out_bias)
        self.q_norm = RMSNorm(self.d_head, eps=qk_norm_eps) if qk_norm_eps is not None else None
        self.k_norm = RMSNorm(self.d_head, eps=qk_norm_eps) if qk_norm_eps is not None else None

    def forward(self, x: Tensor, context: Context, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        H, G = self.n_heads, self.n_kv_heads
        heads = self.qkv(x).unflatten(-1, (H + 2 * G, self.d_head))  # (B, T, H + 2G, K)
        if self.q_norm is not None and self.k_norm is not None:
            q, k, v = heads.split((H, G, G), dim=2)
            q, k = self.q_norm(q), self.k_norm(k)
            if context.rotation is not None:
                q, k = rotate(q, context.rotation), rotate(k, context.rotation)
        elif context.rotation is None:
            q, k, v = heads.split((H, G, G), dim=2)
        else:
            qk, v = heads.split((H + G, G), dim=2)
            q, k = rotate(qk, context.rotation).split((H, G), dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H or G, T, K)
        if context.cache is not None:
            k, v = context.cache.update(layer, k, v)  # (B, G, S, K)
        y = self._mix(q, k, v, context)
        return self.out(y.transpose(1, 2).flatten(-2))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if self.pattern is None:
            return attention(q, k, v, mask=context.mask, causal=context.causal, scale=self.scale, dropout=dropout)
        assert context.layout is not None, "a sparse layer needs to know what stands where"
        if self.pattern.worth_blocks(q.shape[2], k.shape[2], context.layout):
            return attention_blocks(q, k, v, self.pattern, context.layout, scale=self.scale, dropout=dropout)
        mask = self.pattern.mask(q.shape[2], k.shape[2], context.layout, q.device)
        return attention(q, k, v, mask=mask, scale=self.scale, dropout=dropout)


class CrossAttention(nn.Module):
    """Multi-head attention of the input over `context.source` (an encoder's output, an image).

    The input may have n times as many rows as the source: n rows after each other then look at the same one.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        d_source: int | None = None,
        d_head: int | None = None,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.n_heads = n_heads
        self.d_head = _head_width(d_model, n_heads, d_head)
        self.scale = 1 / math.sqrt(self.d_head) if scale is None else scale
        self.dropout = dropout
        width = n_heads * self.d_head
        self.q = Linear(d_model, width, bias=bias)
        self.kv = Linear(d_model if d_source is None else d_source, 2 * width, bias=bias, parts=(width, width))
        self.out = Linear(width, d_model, bias=bias)

    def forward(self, x: Tensor, context: Context, layer: int) -> Tensor:
        """(B, T, D) → (B, T, D).

        Raises:
            ConfigError: if there is no source to look at.
        """
        length = x.shape[1]
        q = self.q(x).unflatten(-1, (self.n_heads, self.d_head)).transpose(1, 2)  # (B, H, T, K)
        k, v = self._keys_and_values(context, layer)  # (B / n, H, S, K)
        n = q.shape[0] // k.shape[0]
        if n > 1:  # queries that look at the same keys, and not at each other, may as well be one row
            q = q.unflatten(0, (-1, n)).transpose(1, 2).flatten(2, 3)  # (B / n, H, n T, K)
        dropout = self.dropout if self.training else 0.0
        y = attention(q, k, v, mask=context.source_mask, scale=self.scale, dropout=dropout)
        if n > 1:
            y = y.unflatten(2, (n, length)).transpose(1, 2).flatten(0, 1)
        return self.out(y.transpose(1, 2).flatten(-2))

    def _keys_and_values(self, context: Context, layer: int) -> tuple[Tensor, Tensor]:
        """Of the source: (B / n, H, S, K) each, from the cache if they are there."""
        if context.source_cache is not None and (held := context.source_cache.get(layer)) is not None:
            return held
        if context.source is None:
            raise ConfigError("cross-attention was given nothing to look at", where="source")
        kv = self.kv(context.source).unflatten(-1, (2 * self.n_heads, self.d_head)).transpose(1, 2)
        k, v = kv.chunk(2, dim=1)
        return (k, v) if context.source_cache is None else context.source_cache.put(layer, k, v)


def _head_width(d_model: int, n_heads: int, d_head: int | None) -> int:
    if d_head is not None:
        return d_head
    if d_model % n_heads:
        raise ConfigError(f"d_model {d_model} is not a multiple of n_heads {n_heads}", where="n_heads")
    return d_model // n_heads
