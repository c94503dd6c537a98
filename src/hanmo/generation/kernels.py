"""Compiled decoding of one sequence on a CPU: whole tokens, all layers, no framework call in between.

Every thread runs `advance` with its own `rank` on shared arrays and takes a slice of each matrix's rows; five
barriers a layer keep the threads in step. The kernels know parts, not families: LayerNorm or RMSNorm, learned or
rotary positions, grouped key/value heads, plain or gated feed-forward.
Shapes and arrays: `layout`.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from hanmo.generation.lanes import atomic_add, atomic_load, multiply_bytes, multiply_float, yield_processor
from hanmo.generation.layout import CHUNK, LINE, Plan, Room, Weights

__all__ = ["advance"]

_BLOCK = 8
_SPINS = 4096
# Sums of norms may be reordered; NaN and infinity keep their meaning.
_FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
# Only compiled code calls the inner functions; entrances for Python would double the time to compile them.
_INNER = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@njit(**_INNER)
def _barrier(sync: np.ndarray, n_threads: int) -> None:
    if n_threads == 1:
        return
    generation = atomic_load(sync, LINE)
    if atomic_add(sync, 0, 1) == n_threads - 1:
        atomic_add(sync, 0, -n_threads)
        atomic_add(sync, LINE, 1)
        return
    spins = 0
    while atomic_load(sync, LINE) == generation and atomic_load(sync, 2 * LINE) == 0:
        spins += 1
        # A machine with more work than cores would otherwise spin away the time the other thread needs.
        if spins > _SPINS:
            yield_processor()


@njit(fastmath=_FASTMATH, **_INNER)
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


@njit(fastmath=_FASTMATH, **_INNER)
def _activate(x: np.ndarray, kind: int) -> None:
    one = np.float32(1)
    if kind == 0:  # GELU, tanh form (Hendrycks & Gimpel, 2016): 0.5 x (1 + tanh(u)) = x sigmoid(2 u)
        for i in range(x.size):
            v = x[i]
            u = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
            x[i] = v / (one + _exp(-u))
    elif kind == 1:  # SiLU
        for i in range(x.size):
            x[i] = x[i] / (one + _exp(-x[i]))
    elif kind == 2:  # ReLU
        for i in range(x.size):
            x[i] = max(x[i], np.float32(0))
    elif kind == 3:  # GELU
        for i in range(x.size):
            x[i] = np.float32(0.5) * x[i] * (one + np.float32(math.erf(x[i] * np.float32(0.7071067811865476))))
    else:  # QuickGELU
        for i in range(x.size):
            x[i] = x[i] / (one + _exp(np.float32(-1.702) * x[i]))


@njit(fastmath=_FASTMATH, **_INNER)
def _norm(x: np.ndarray, out: np.ndarray, norm: np.ndarray, n: int, lanes: int, rms: bool, eps: float) -> None:
    weight, bias = norm[0], norm[1]
    size = weight.size
    for p in range(n):
        mean = np.float32(0)
        if not rms:
            for k in range(size):
                mean += x[k * lanes + p]
            mean /= np.float32(size)
        square = np.float32(0)
        for k in range(size):
            difference = x[k * lanes + p] - mean
            square += difference * difference
        factor = np.float32(1 / math.sqrt(square / np.float32(size) + eps))
        for k in range(size):
            out[k * lanes + p] = (x[k * lanes + p] - mean) * factor * weight[k] + bias[k]


@njit(fastmath=_FASTMATH, **_INNER)
def _split(x: np.ndarray, size: int, columns: int, coarse: np.ndarray, fine: np.ndarray, factors: np.ndarray) -> None:
    """x = (128 coarse + fine) unit, in 15 bits; see `multiply_bytes`."""
    top = np.float32(1e-30)
    for k in range(size):
        top = max(top, abs(x[k]))
    unit = top / np.float32(16256)
    inverse = np.float32(1) / unit
    sum_coarse = sum_fine = np.int32(0)
    for k in range(size):
        whole = np.int32(np.floor(x[k] * inverse + np.float32(0.5)))
        high = np.int32(np.int32(whole + np.int32(64)) >> np.int32(7))
        low = np.int32(whole - np.int32(high << np.int32(7)))
        coarse[k], fine[k] = np.int8(high), np.int8(low)
        sum_coarse += high
        sum_fine += low
    for k in range(size, columns):
        coarse[k] = fine[k] = 0
    factors[0] = unit
    factors[1], factors[2] = np.float32(128) * sum_coarse, np.float32(128) * sum_fine


@njit(**_INNER)
def _share(rows: int, rank: int, n_threads: int) -> tuple[int, int]:
    """Rows of one thread, in whole blocks; the last thread takes what remains."""
    blocks = rows // _BLOCK
    high = rows if rank == n_threads - 1 else blocks * (rank + 1) // n_threads * _BLOCK
    return blocks * rank // n_threads * _BLOCK, high


@njit(**_INNER)
def _project(
    w: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    x: np.ndarray,
    size: int,
    out: np.ndarray,
    low: int,
    high: int,
    lanes: int,
    add: int,
    room: Room,
    rank: int,
) -> None:
    """out[low:high] (+)= w[low:high] @ x + bias; one lane for the draft weights, 8 or 16 for the exact ones."""
    if lanes == 1:
        coarse, fine, factors = room.coarse[rank], room.fine[rank], room.factors[rank]
        _split(x, size, w.shape[1], coarse, fine, factors)
        multiply_bytes(w, scale, bias, coarse, fine, x, factors, out, low, high, w.shape[1], add)
    else:
        multiply_float(w, bias, x, out, low, high, size, lanes, add)


@njit(fastmath=_FASTMATH, **_INNER)
def _gather(flat: np.ndarray, first: int, lanes: int, p: int, out: np.ndarray, w: Weights, position: int) -> None:
    """Copy one head of one position, turned by its angles where positions are rotary (Su et al., 2021)."""
    size = out.size
    for k in range(size):
        out[k] = flat[(first + k) * lanes + p]
    if w.cos.size > 0:
        half, cos, sin = size // 2, w.cos[position], w.sin[position]
        for k in range(half):
            a, b = out[k], out[k + half]
            out[k] = a * cos[k] - b * sin[k]
            out[k + half] = b * cos[k] + a * sin[k]


@njit(fastmath=_FASTMATH, **_INNER)
def _attend(
    plan: Plan, w: Weights, room: Room, layer: int, start: int, n: int, lanes: int, rank: int, n_threads: int
) -> None:
    n_heads, n_groups = plan.n_heads, plan.n_kv_heads
    size = room.values.shape[3]
    scores, query, mixed = room.scores[rank], room.vectors[rank, 0], room.vectors[rank, 1]
    per_group = n_heads // n_groups
    scale = w.scales[layer]
    for g in range(n_groups * rank // n_threads, n_groups * (rank + 1) // n_threads):
        keys, values = room.keys[layer, g], room.values[layer, g]
        for p in range(n):
            position = start + p
            _gather(room.qkv, (n_heads + g) * size, lanes, p, query, w, position)
            for k in range(size):
                keys[k, position] = query[k]
                values[position, k] = room.qkv[((n_heads + n_groups + g) * size + k) * lanes + p]
            for head in range(g * per_group, (g + 1) * per_group):
                _gather(room.qkv, head * size, lanes, p, query, w, position)
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
                for k in range(size):
                    mixed[k] = np.float32(0)
                for s in range(position + 1):
                    weight, line = scores[s], values[s]
                    for k in range(size):
                        mixed[k] += weight * line[k]
                for k in range(size):
                    room.mixed[(head * size + k) * lanes + p] = mixed[k] / total


@njit(**_INNER)
def _forward(
    plan: Plan, w: Weights, room: Room, start: int, n: int, lanes: int, head: bool, rank: int, n_threads: int
) -> None:
    """Run tokens[start : start + n]; with `head`, logits and the best id of each."""
    d_model, d_ff = w.norms.shape[2], room.hidden.size // CHUNK // (2 if plan.gated else 1)
    h, x, sync = room.h[rank], room.x, room.sync
    width = room.mixed.size // CHUNK
    no, yes = min(start, 0), min(start, 0) + 1  # as variables: constants would be compiled into copies of `_project`
    if rank == 0:
        for p in range(n):
            token = w.embedding[room.tokens[start + p]]
            for k in range(d_model):
                x[k * lanes + p] = token[k] + (w.positions[start + p, k] if w.positions.size > 0 else np.float32(0))
    _barrier(sync, n_threads)
    for layer in range(w.qkv.shape[0]):
        _norm(x, h, w.norms[2 * layer], n, lanes, plan.rms, plan.eps)
        low, high = _share(w.qkv.shape[1], rank, n_threads)
        _project(
            w.qkv[layer], w.qkv_scale[layer], w.qkv_bias[layer], h, d_model, room.qkv, low, high, lanes, no, room, rank
        )
        _barrier(sync, n_threads)
        _attend(plan, w, room, layer, start, n, lanes, rank, n_threads)
        _barrier(sync, n_threads)
        low, high = _share(d_model, rank, n_threads)
        _project(
            w.out[layer], w.out_scale[layer], w.out_bias[layer], room.mixed, width, x, low, high, lanes, yes, room, rank
        )
        _barrier(sync, n_threads)
        _norm(x, h, w.norms[2 * layer + 1], n, lanes, plan.rms, plan.eps)
        low, high = _share(d_ff, rank, n_threads)
        for part in range(2 if plan.gated else 1):
            shift = part * d_ff
            _project(
                w.up[layer], w.up_scale[layer], w.up_bias[layer], h, d_model, room.hidden, low + shift, high + shift, lanes, no,
                room, rank,
            )  # fmt: skip
        _activate(room.hidden[low * lanes : high * lanes], plan.activation)
        if plan.gated:
            for i in range(low * lanes, high * lanes):
                room.hidden[i] *= room.hidden[i + d_ff * lanes]
        _barrier(sync, n_threads)
        low, high = _share(d_model, rank, n_threads)
        _project(
            w.down[layer],
            w.down_scale[layer],
            w.down_bias[layer],
            room.hidden,
            d_ff,
            x,
            low,
            high,
            lanes,
            yes,
            room,
            rank,
        )
        _barrier(sync, n_threads)
    if head:
        _norm(x, h, w.norms[2 * w.qkv.shape[0]], n, lanes, plan.rms, plan.eps)
        low, high = _share(w.head.shape[1], rank, n_threads)
        _project(w.head[0], w.head_scale[0], w.head_bias[0], h, d_model, room.logits, low, high, lanes, no, room, rank)
        for p in range(n):
            best, value = low, np.float32(-np.inf)
            for r in range(low, high):
                if room.logits[r * lanes + p] > value:
                    best, value = r, room.logits[r * lanes + p]
            room.best_id[rank, p], room.best_value[rank, p] = best, value
        _barrier(sync, n_threads)


@njit(**_INNER)
def _best(room: Room, p: int, n_threads: int) -> int:
    best, value = room.best_id[0, p], room.best_value[0, p]
    for rank in range(1, n_threads):
        if room.best_value[rank, p] > value:
            best, value = room.best_id[rank, p], room.best_value[rank, p]
    return best


def _compiled(sources: str) -> Any:
    # numba looks only at this file to tell whether its cached code is old; a closure is part of its key.
    @njit(nogil=True, cache=True, no_cfunc_wrapper=True)
    def advance(
        plan: Plan,
        exact: Weights,
        draft: Weights,
        room: Room,
        start: int,
        end: int,
        n_draft: int,
        rank: int,
        n_threads: int,
    ) -> int:
        """Take tokens[start:end] into the cache and put the greedy continuation behind them; returns its length.

        With `n_draft` > 0 (then end == start + 1) the draft weights guess that many tokens one after the other, the
        exact weights check all of them in one pass, and the longest prefix that the exact weights would have chosen
        is kept, with one exact token behind it (Leviathan et al., 2023, greedy case): the result is that of the
        exact weights alone, which are read once instead of once a token. Guesses may lie in `tokens` already:
        `n_draft` < 0 checks that many.
        """
        assert len(sources) == 64
        tokens = room.tokens
        guessed = abs(n_draft)
        last = end + guessed
        steps = max(n_draft, 0)
        position = start
        n = lanes = 0
        while position < last:
            # One call in one place: each further one would compile the whole model again.
            drafting = steps > 0
            n = 1 if drafting else min(CHUNK, last - position)
            lanes = 1 if drafting else 8 if n <= 8 else CHUNK
            place = end - 1 + guessed - steps if drafting else position
            _forward(plan, draft if drafting else exact, room, place, n, lanes, place + n >= end, rank, n_threads)
            if drafting:
                if rank == 0:
                    tokens[place + 1] = _best(room, 0, n_threads)
                steps -= 1
            else:
                position += n
            _barrier(room.sync, n_threads)
        first = end - 1 - (position - n)
        kept = 0
        while kept < guessed and _best(room, first + kept, n_threads) == tokens[end + kept]:
            kept += 1
        _barrier(room.sync, n_threads)
        if rank == 0:
            for i in range(kept + 1):
                tokens[end + i] = _best(room, first + i, n_threads)
        return kept + 1

    return advance


advance = _compiled(
    hashlib.sha256(
        b"".join(
            path.read_bytes()
            for path in (Path(__file__), Path(__file__).with_name("lanes.py"), Path(__file__).with_name("layout.py"))
        )
    ).hexdigest()
)
