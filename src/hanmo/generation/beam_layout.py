"""How a decoder with a source and the beams of many sources lie in memory for the compiled kernels.

Shapes: L layers, D d_model, F d_ff, V vocabulary, W lanes of a register; N rows (beams of all sources), C candidates of a
row, T positions held. A matrix (O, I) is packed as panels (⌈O / W⌉, I, W) of W outputs, with zeros behind the last; rows of
activations are as long as whole panels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["DecoderPlan", "DecoderWeights", "Room", "Rows", "Source"]


class DecoderPlan(NamedTuple):
    """The numbers that describe a decoder to the kernels."""

    n_heads: int
    activation: int
    eps: float
    scale: float
    """Factor of token vectors."""


class DecoderWeights(NamedTuple):
    """One decoder. float32."""

    embedding: np.ndarray  # (V, D)
    positions: np.ndarray  # (longest text, D)
    scales: np.ndarray  # (L, 2): factors of the scores of self-attention and of cross-attention
    norms: np.ndarray  # (L, 3, 2, D): weight and bias after self-attention, cross-attention, feed-forward
    qkv: np.ndarray  # (L, panels, D, W)
    qkv_bias: np.ndarray  # (L, 3 D up to whole panels)
    out: np.ndarray
    out_bias: np.ndarray
    query: np.ndarray  # of cross-attention
    query_bias: np.ndarray
    cross: np.ndarray  # its output
    cross_bias: np.ndarray
    up: np.ndarray  # (L, panels, D, W) for F
    up_bias: np.ndarray
    down: np.ndarray  # (L, panels, F, W) for D
    down_bias: np.ndarray
    head: np.ndarray  # (panels, D, W)


class Source(NamedTuple):
    """What cross-attention looks at: the real positions of all sources after each other, P together."""

    rows: np.ndarray  # (L P, 2 D) float32: keys and values
    starts: np.ndarray  # (sources + 1,) int64
    head_bias: np.ndarray  # (V up to whole panels,) float32; -inf for what is never written


class Rows(NamedTuple):
    """The rows of one step."""

    tokens: np.ndarray  # (N,) int64: the last of each
    sources: np.ndarray  # (N,) int64: which source each looks at
    ancestors: np.ndarray  # (N, T) int64: where in `held` the positions of each lie
    held: np.ndarray  # (slots, L, 2 D) float32: keys and values of all positions of all steps
    first_slot: int
    """Where the positions of this step go, row by row."""
    values: np.ndarray  # (N, C) float32: logits of the best next tokens, best first
    ids: np.ndarray  # (N, C) int64
    totals: np.ndarray  # (N,) float32: log Σ exp of all logits
    begun: np.ndarray  # (1,) int64: rows that a thread has taken


class Room(NamedTuple):
    """Of each thread. float32 unless said; R rows at once."""

    x: np.ndarray  # (threads, R, D up)
    mixed: np.ndarray  # (threads, R, D up)
    wide: np.ndarray  # (threads, R, 3 D or F up)
    tile: np.ndarray  # (threads, R, tile)
    scores: np.ndarray  # (threads, T or S up)
    places: np.ndarray  # (threads, T or S) int64
    tops: np.ndarray  # (threads, R): greatest logit so far
    sums: np.ndarray  # (threads, R): Σ exp(logit - top)
    found: np.ndarray  # (threads, 2): of one tile
    flags: np.ndarray  # (threads, 1 + tile) int64
