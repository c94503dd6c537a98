"""Compiled decoding of one sequence on a CPU: whole tokens, all layers, no framework call in between.

Every thread runs `advance` with its own `rank` on shared arrays and takes a slice of each matrix's rows; five
barriers a layer keep the threads in step. The kernels know parts, not families: LayerNorm or RMSNorm, learned or
rotary positions, grouped key/value heads, plain or gated feed-forward.

Shapes: L layers, D d_model, H heads, G key/value heads, K d_head, F d_ff, V vocabulary, S context, N chunk.
All kernels live in this one file because the on-disk cache of numba watches only the file a kernel is in.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["ACTIVATIONS", "CHUNK", "LINE", "Plan", "Room", "Weights", "advance"]

CHUNK = 16
"""Most tokens that one pass over the weights handles."""
LINE = 8
"""Distance in int64 between synchronisation counters, one cache line, so that threads do not disturb each other."""
ACTIVATIONS = {"gelu_tanh": 0, "silu": 1, "relu": 2, "gelu": 3}

_ROWS = 4
_SPINS = 4096
# Sums may be reordered (that is what lets them use vector registers); NaN and infinity keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


class Plan(NamedTuple):
    """The numbers that describe a model to the kernels."""

    n_heads: int
    n_kv_heads: int
    activation: int
    gated: bool
    rms: bool
    eps: float
    scale: float


class Weights(NamedTuple):
    """Matrices of one model, float32 (exact) or int8 with one scale a row (draft)."""

    embedding: np.ndarray  # (V, D)
    positions: np.ndarray  # (S, D), zeros without learned positions
    cos: np.ndarray  # (S, K / 2), empty without rotary positions
    sin: np.ndarray
    norms: np.ndarray  # (2 L + 1, 2, D): weight and bias; the last is the norm before the head
    qkv: np.ndarray  # (L, (H + 2 G) K, D)
    qkv_scale: np.ndarray  # (L, rows), ones for float32
    qkv_bias: np.ndarray  # (L, rows)
    out: np.ndarray  # (L, D, H K)
    out_scale: np.ndarray
    out_bias: np.ndarray
    up: np.ndarray  # (L, F or 2 F, D): gate rows first where gated
    up_scale: np.ndarray
    up_bias: np.ndarray
    down: np.ndarray  # (L, D, F)
    down_scale: np.ndarray
    down_bias: np.ndarray
    head: np.ndarray  # (V, D)
    head_scale: np.ndarray
    head_bias: np.ndarray


class Room(NamedTuple):
    """Buffers of one sequence, shared by its threads."""

    tokens: np.ndarray  # (S + CHUNK,) int64
    keys: np.ndarray  # (L, G, K, S) float32: positions last, so that scores vectorise over them
    values: np.ndarray  # (L, G, S, K)
    x: np.ndarray  # (N, D) residual stream
    h: np.ndarray  # (threads, N, D) normalised, one copy a thread: cheaper than another barrier
    qkv: np.ndarray  # (N, (H + 2 G) K)
    mixed: np.ndarray  # (N, H K)
    hidden: np.ndarray  # (N, F or 2 F)
    scores: np.ndarray  # (threads, S)
    logits: np.ndarray  # (N, V)
    best_value: np.ndarray  # (threads, N) float32
    best_id: np.ndarray  # (threads, N) int64
    sync: np.ndarray  # (3 LINE,) int64: arrived, generation, abort


@intrinsic
def _atomic_add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [arguments[1]]), arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), build


@intrinsic
def _atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8)

    return types.int64(array, types.int64), build


@intrinsic
def _yield_processor(typing_context: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), build


@njit(nogil=True)
def _barrier(sync: np.ndarray, n_threads: int) -> None:
    if n_threads == 1:
        return
    generation = _atomic_load(sync, LINE)
    if _atomic_add(sync, 0, 1) == n_threads - 1:
        _atomic_add(sync, 0, -n_threads)
        _atomic_add(sync, LINE, 1)
        return
    spins = 0
    while _atomic_load(sync, LINE) == generation and _atomic_load(sync, 2 * LINE) == 0:
        spins += 1
        # A machine with more work than cores would otherwise spin away the time the other thread needs.
        if spins > _SPINS:
            _yield_processor()


@njit(nogil=True, fastmath=_FASTMATH)
def _exp(x: float) -> float:
    """e**x in float32: 2**n by its bits times a Taylor series on |r| <= ln(2)/2; relative error below 1e-7."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    # ln(2) in two parts, so that the first product is exact.
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    series = np.float32(1 / 5040)
    series = series * r + np.float32(1 / 720)
    series = series * r + np.float32(1 / 120)
    series = series * r + np.float32(1 / 24)
    series = series * r + np.float32(1 / 6)
    series = series * r + np.float32(0.5)
    series = series * r + np.float32(1)
    series = series * r + np.float32(1)
    return series * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(nogil=True, fastmath=_FASTMATH)
def _activate(x: np.ndarray, kind: int) -> None:
    one = np.float32(1)
    if kind == 0:  # x sigmoid(2 u) = 0.5 x (1 + tanh(u)): GELU, tanh form (Hendrycks & Gimpel, 2016)
        for i in range(x.size):
            v = x[i]
            u = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
            x[i] = v / (one + _exp(-u))
    elif kind == 1:
        for i in range(x.size):
            x[i] = x[i] / (one + _exp(-x[i]))
    elif kind == 2:
        for i in range(x.size):
            x[i] = max(x[i], np.float32(0))
    else:
        for i in range(x.size):
            x[i] = np.float32(0.5) * x[i] * (one + np.float32(math.erf(x[i] * np.float32(0.7071067811865476))))


@njit(nogil=True, fastmath=_FASTMATH)
def _norm(x: np.ndarray, out: np.ndarray, norm: np.ndarray, n: int, rms: bool, eps: float) -> None:
    size = x.shape[1]
    weight, bias = norm[0], norm[1]
    for p in range(n):
        row, result = x[p], out[p]
        mean = np.float32(0)
        if not rms:
            for k in range(size):
                mean += row[k]
            mean /= np.float32(size)
        square = np.float32(0)
        for k in range(size):
            square += (row[k] - mean) * (row[k] - mean)
        factor = np.float32(1 / math.sqrt(square / size + eps))
        for k in range(size):
            result[k] = (row[k] - mean) * factor * weight[k] + bias[k]


@njit(nogil=True, fastmath=_FASTMATH)
def _put(out: np.ndarray, r: int, value: float, scale: np.ndarray, bias: np.ndarray, add: bool) -> None:
    value = value * scale[r] + bias[r]
    out[r] = out[r] + value if add else value


@njit(nogil=True, fastmath=_FASTMATH)
def _project(
    w: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    low: int,
    high: int,
    n: int,
    add: bool,
) -> None:
    """out[:n, low:high] (+)= x[:n] @ w[low:high].T * scale + bias, `low` and `high` multiples of 4.

    Positions go in pairs (the last may be paired with itself), so a position's sums are added in the same order
    whatever it shares a pass with: one token at a time and sixteen at a time give identical bits.
    """
    size = w.shape[1]
    for r in range(low, high, _ROWS):
        w0, w1, w2, w3 = w[r], w[r + 1], w[r + 2], w[r + 3]
        if w.itemsize == 1:
            x0 = x[0]
            a0 = a1 = a2 = a3 = np.float32(0)
            for k in range(size):
                u = x0[k]
                a0 += np.float32(w0[k]) * u
                a1 += np.float32(w1[k]) * u
                a2 += np.float32(w2[k]) * u
                a3 += np.float32(w3[k]) * u
            _put(out[0], r, a0, scale, bias, add)
            _put(out[0], r + 1, a1, scale, bias, add)
            _put(out[0], r + 2, a2, scale, bias, add)
            _put(out[0], r + 3, a3, scale, bias, add)
        else:
            for p in range(0, n, 2):
                q = min(p + 1, n - 1)
                x0, x1 = x[p], x[q]
                a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0)
                for k in range(size):
                    u, v = x0[k], x1[k]
                    a0 += np.float32(w0[k]) * u
                    b0 += np.float32(w0[k]) * v
                    a1 += np.float32(w1[k]) * u
                    b1 += np.float32(w1[k]) * v
                    a2 += np.float32(w2[k]) * u
                    b2 += np.float32(w2[k]) * v
                    a3 += np.float32(w3[k]) * u
                    b3 += np.float32(w3[k]) * v
                _put(out[p], r, a0, scale, bias, add)
                _put(out[p], r + 1, a1, scale, bias, add)
                _put(out[p], r + 2, a2, scale, bias, add)
                _put(out[p], r + 3, a3, scale, bias, add)
                if q != p:
                    _put(out[q], r, b0, scale, bias, add)
                    _put(out[q], r + 1, b1, scale, bias, add)
                    _put(out[q], r + 2, b2, scale, bias, add)
                    _put(out[q], r + 3, b3, scale, bias, add)


@njit(nogil=True)
def _share(rows: int, rank: int, n_threads: int) -> tuple[int, int]:
    blocks = rows // _ROWS
    return blocks * rank // n_threads * _ROWS, blocks * (rank + 1) // n_threads * _ROWS


@njit(nogil=True, fastmath=_FASTMATH)
def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> None:
    """Rotary positions, halves paired (Su et al., 2021; the pairing of Llama's public weights)."""
    half = cos.size
    for k in range(half):
        a, b = x[k], x[k + half]
        x[k] = a * cos[k] - b * sin[k]
        x[k + half] = b * cos[k] + a * sin[k]


@njit(nogil=True, fastmath=_FASTMATH)
def _attend(plan: Plan, w: Weights, room: Room, layer: int, start: int, n: int, rank: int, n_threads: int) -> None:
    n_heads, n_groups = plan.n_heads, plan.n_kv_heads
    size = room.values.shape[3]
    scores = room.scores[rank]
    per_group = n_heads // n_groups
    scale = np.float32(plan.scale)
    for g in range(n_groups * rank // n_threads, n_groups * (rank + 1) // n_threads):
        keys, values = room.keys[layer, g], room.values[layer, g]
        for p in range(n):
            position = start + p
            row = room.qkv[p]
            key = row[(n_heads + g) * size : (n_heads + g + 1) * size]
            value = row[(n_heads + n_groups + g) * size : (n_heads + n_groups + g + 1) * size]
            if w.cos.size > 0:
                _rotate(key, w.cos[position], w.sin[position])
            for k in range(size):
                keys[k, position] = key[k]
                values[position, k] = value[k]
            for head in range(g * per_group, (g + 1) * per_group):
                query = row[head * size : (head + 1) * size]
                if w.cos.size > 0:
                    _rotate(query, w.cos[position], w.sin[position])
                for s in range(position + 1):
                    scores[s] = np.float32(0)
                for k in range(size):
                    factor, line = query[k] * scale, keys[k]
                    for s in range(position + 1):
                        scores[s] += factor * line[s]
                top = scores[0]
                for s in range(1, position + 1):
                    top = max(top, scores[s])
                total = np.float32(0)
                for s in range(position + 1):
                    weight = _exp(scores[s] - top)
                    scores[s] = weight
                    total += weight
                mixed = room.mixed[p, head * size : (head + 1) * size]
                for k in range(size):
                    mixed[k] = np.float32(0)
                for s in range(position + 1):
                    weight, line = scores[s] / total, values[s]
                    for k in range(size):
                        mixed[k] += weight * line[k]


@njit(nogil=True, fastmath=_FASTMATH)
def _forward(plan: Plan, w: Weights, room: Room, start: int, n: int, head_from: int, rank: int, n_threads: int) -> None:
    """Run tokens[start : start + n]; logits and the best id of positions `head_from` and later of the chunk."""
    d_model = room.x.shape[1]
    h, x, sync = room.h[rank], room.x, room.sync
    eps = plan.eps
    if rank == 0:
        for p in range(n):
            token, position = w.embedding[room.tokens[start + p]], w.positions[start + p]
            for k in range(d_model):
                x[p, k] = token[k] + position[k]
    _barrier(sync, n_threads)
    for layer in range(w.qkv.shape[0]):
        _norm(x, h, w.norms[2 * layer], n, plan.rms, eps)
        low, high = _share(w.qkv.shape[1], rank, n_threads)
        _project(w.qkv[layer], w.qkv_scale[layer], w.qkv_bias[layer], h, room.qkv, low, high, n, False)
        _barrier(sync, n_threads)
        _attend(plan, w, room, layer, start, n, rank, n_threads)
        _barrier(sync, n_threads)
        low, high = _share(d_model, rank, n_threads)
        _project(w.out[layer], w.out_scale[layer], w.out_bias[layer], room.mixed, x, low, high, n, True)
        _barrier(sync, n_threads)
        _norm(x, h, w.norms[2 * layer + 1], n, plan.rms, eps)
        width = w.down.shape[2]
        low, high = _share(width, rank, n_threads)
        up, scale, bias = w.up[layer], w.up_scale[layer], w.up_bias[layer]
        _project(up, scale, bias, h, room.hidden, low, high, n, False)
        if plan.gated:
            _project(up, scale, bias, h, room.hidden, low + width, high + width, n, False)
        for p in range(n):
            hidden = room.hidden[p]
            _activate(hidden[low:high], plan.activation)
            if plan.gated:
                for k in range(low, high):
                    hidden[k] *= hidden[k + width]
        _barrier(sync, n_threads)
        low, high = _share(d_model, rank, n_threads)
        _project(w.down[layer], w.down_scale[layer], w.down_bias[layer], room.hidden, x, low, high, n, True)
        _barrier(sync, n_threads)
    if head_from < n:
        _norm(x, h, w.norms[2 * w.qkv.shape[0]], n, plan.rms, eps)
        low, high = _share(w.head.shape[0], rank, n_threads)
        _project(w.head, w.head_scale, w.head_bias, h[head_from:], room.logits[head_from:], low, high, n - head_from, False)
        for p in range(head_from, n):
            logits = room.logits[p]
            best, value = low, np.float32(-np.inf)
            for r in range(low, high):
                if logits[r] > value:
                    best, value = r, logits[r]
            room.best_id[rank, p], room.best_value[rank, p] = best, value
    _barrier(sync, n_threads)


@njit(nogil=True)
def _best(room: Room, p: int, n_threads: int) -> int:
    best, value = room.best_id[0, p], room.best_value[0, p]
    for rank in range(1, n_threads):
        if room.best_value[rank, p] > value:
            best, value = room.best_id[rank, p], room.best_value[rank, p]
    return best


@njit(nogil=True, cache=True)
def advance(
    plan: Plan, exact: Weights, draft: Weights, room: Room, start: int, end: int, n_draft: int, rank: int, n_threads: int
) -> int:
    """Take tokens[start:end] into the cache and put the greedy continuation behind them; returns its length.

    With `n_draft` > 0 (then end == start + 1) the draft weights guess that many tokens one after the other, the
    exact weights check all of them in one pass, and the longest prefix that the exact weights would have chosen is
    kept, with one exact token behind it (Leviathan et al., 2023, greedy case): the result is that of the exact
    weights alone, read once instead of once a token. Guesses may lie in `tokens` already (`n_draft` < 0: check
    that many).
    """
    tokens = room.tokens
    guessed = abs(n_draft)
    if n_draft > 0:
        for i in range(n_draft):
            _forward(plan, draft, room, start + i, 1, 0, rank, n_threads)
            if rank == 0:
                tokens[start + i + 1] = _best(room, 0, n_threads)
            _barrier(room.sync, n_threads)
    last = end + guessed
    position = start
    while position < last:
        n = min(CHUNK, last - position)
        head_from = max(0, end - 1 - position)
        _forward(plan, exact, room, position, n, head_from, rank, n_threads)
        position += n
    # Guesses are checked in one chunk, so row end - 1 of the logits is found from that chunk's first position.
    first = end - 1 - (position - n)
    kept = 0
    while kept < guessed and _best(room, first + kept, n_threads) == tokens[end + kept]:
        kept += 1
    _barrier(room.sync, n_threads)
    if rank == 0:
        for i in range(kept + 1):
            tokens[end + i] = _best(room, first + i, n_threads)
    return kept + 1
