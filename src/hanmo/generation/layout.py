"""How a model and the state of one sequence lie in memory for the compiled kernels.

Shapes: L layers, D d_model, H heads, G key/value heads, K d_head, F d_ff, V vocabulary, S context; W lanes, the
positions that lie side by side in memory: activation i of position p is at [i * W + p].
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["BYTES_PER_STEP", "CHUNK", "LINE", "Plan", "Room", "Weights"]

CHUNK = 16
"""Most tokens that one pass over the weights handles."""
LINE = 8
"""Distance in int64 between synchronisation counters, one cache line, so that threads do not disturb each other."""
BYTES_PER_STEP = 64
"""Rows of uint8 weights are padded to a multiple of this."""


class Plan(NamedTuple):
    """The numbers that describe a model to the kernels."""

    n_heads: int
    n_kv_heads: int
    activation: int
    gated: bool
    rms: bool
    eps: float


class Weights(NamedTuple):
    """One model. Matrices are bytes: float32 (exact), or uint8 with 128 for zero and one scale a row (draft)."""

    embedding: np.ndarray  # (V, D)
    positions: np.ndarray  # (S, D), or empty
    cos: np.ndarray  # (S, K / 2), or empty
    sin: np.ndarray
    scales: np.ndarray  # (L,): factor of the attention scores
    norms: np.ndarray  # (2 L + 1, 2, D): weight and bias; the last is the norm before the head
    qkv: np.ndarray  # (L, (H + 2 G) K, bytes of a row)
    qkv_scale: np.ndarray  # (L, rows), empty for float32
    qkv_bias: np.ndarray  # (L, rows)
    out: np.ndarray  # (L, D, bytes of H K)
    out_scale: np.ndarray
    out_bias: np.ndarray
    up: np.ndarray  # (L, F or 2 F, bytes of D): gate rows first where gated
    up_scale: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray  # (L, D, bytes of F)
    down_scale: np.ndarray
    down_bias: np.ndarray
    head: np.ndarray  # (1, V, bytes of D)
    head_scale: np.ndarray
    head_bias: np.ndarray


class Room(NamedTuple):
    """Buffers of one sequence, shared by its threads. Flat float32 unless said; sizes have room for CHUNK lanes."""

    tokens: np.ndarray  # (S + CHUNK,) int64
    keys: np.ndarray  # (L, G, K, S): positions last, so that scores vectorise over them
    values: np.ndarray  # (L, G, S, K)
    x: np.ndarray  # (D W,) residual stream
    h: np.ndarray  # (threads, D W) normalised, one copy a thread: cheaper than another barrier
    qkv: np.ndarray  # ((H + 2 G) K W,)
    mixed: np.ndarray  # (H K W,)
    hidden: np.ndarray  # (F W,) or (2 F W,)
    logits: np.ndarray  # (V W,)
    scores: np.ndarray  # (threads, S)
    vectors: np.ndarray  # (threads, 2, K)
    coarse: np.ndarray  # (threads, widest input) int8
    fine: np.ndarray  # (threads, widest input) int8
    factors: np.ndarray  # (threads, 3)
    best_value: np.ndarray  # (threads, W)
    best_id: np.ndarray  # (threads, W) int64
    sync: np.ndarray  # (3 LINE,) int64: arrived, generation, abort
