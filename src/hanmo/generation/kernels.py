"""Compiled decoding of one sequence on a CPU: whole tokens, all layers, no framework call in between.

Every thread runs `advance` with its own `rank` on shared arrays and takes a slice of each matrix's rows; five
barriers a layer keep the threads in step. The kernels know parts, not families: LayerNorm or RMSNorm, learned or
rotary positions, grouped key/value heads, plain or gated feed-forward.

Shapes and arrays: `layout`.
"""

from __future__ import annotations

import numpy as np

from hanmo.core.atomics import atomic_add, atomic_load, yield_processor
from hanmo.core.compiled import compiled, is_kept
from hanmo.core.exponential import FASTMATH, exp
from hanmo.generation.lanes import multiply_bytes, multiply_float
from hanmo.generation.layout import CHUNK, LINE, Plan, Room, Weights
from hanmo.generation.pointwise import activate, norm, split

__all__ = ["advance", "is_compiled"]

_BLOCK = 8
_SPINS = 4096


@compiled(inner=True)
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


@compiled(inner=True)
def _share(rows: int, rank: int, n_threads: int) -> tuple[int, int]:
    """Rows of one thread, in whole blocks; the last thread takes what remains."""
    blocks = rows // _BLOCK
    high = rows if rank == n_threads - 1 else blocks * (rank + 1) // n_threads * _BLOCK
    return blocks * rank // n_threads * _BLOCK, high


@compiled(inner=True)
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
        split(x, size, w.shape[1], coarse, fine, factors)
        multiply_bytes(w, scale, bias, coarse, fine, x, factors, out, low, high, w.shape[1], add)
    else:
        multiply_float(w, bias, x, out, low, high, size, lanes, add)


@compiled(fastmath=FASTMATH, inner=True)
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


@compiled(fastmath=FASTMATH, inner=True)
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
                # Four at a time: a quarter of the traffic of the running sums.
                for k in range(0, size - 3, 4):
                    f0, f1, f2, f3 = query[k] * scale, query[k + 1] * scale, query[k + 2] * scale, query[k + 3] * scale
                    l0, l1, l2, l3 = keys[k], keys[k + 1], keys[k + 2], keys[k + 3]
                    for s in range(position + 1):
                        scores[s] += (f0 * l0[s] + f1 * l1[s]) + (f2 * l2[s] + f3 * l3[s])
                for k in range(size - size % 4, size):
                    f0, l0 = query[k] * scale, keys[k]
                    for s in range(position + 1):
                        scores[s] += f0 * l0[s]
                top = scores[0]
                for s in range(1, position + 1):
                    top = max(top, scores[s])
                total = np.float32(0)
                for s in range(position + 1):
                    weight = exp(scores[s] - top)
                    scores[s] = weight
                    total += weight
                for k in range(size):
                    mixed[k] = np.float32(0)
                for s in range(0, position - 2, 4):
                    f0, f1, f2, f3 = scores[s], scores[s + 1], scores[s + 2], scores[s + 3]
                    l0, l1, l2, l3 = values[s], values[s + 1], values[s + 2], values[s + 3]
                    for k in range(size):
                        mixed[k] += (f0 * l0[k] + f1 * l1[k]) + (f2 * l2[k] + f3 * l3[k])
                for s in range(position + 1 - (position + 1) % 4, position + 1):
                    f0, l0 = scores[s], values[s]
                    for k in range(size):
                        mixed[k] += f0 * l0[k]
                for k in range(size):
                    room.mixed[(head * size + k) * lanes + p] = mixed[k] / total


@compiled(inner=True)
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
        norm(x, h, w.norms[2 * layer], n, lanes, plan.rms, plan.eps)
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
        norm(x, h, w.norms[2 * layer + 1], n, lanes, plan.rms, plan.eps)
        low, high = _share(d_ff, rank, n_threads)
        for part in range(2 if plan.gated else 1):
            shift = part * d_ff
            _project(
                w.up[layer], w.up_scale[layer], w.up_bias[layer], h, d_model, room.hidden, low + shift, high + shift, lanes, no,
                room, rank,
            )  # fmt: skip
        activate(room.hidden[low * lanes : high * lanes], plan.activation)
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
        norm(x, h, w.norms[2 * w.qkv.shape[0]], n, lanes, plan.rms, plan.eps)
        low, high = _share(w.head.shape[1], rank, n_threads)
        _project(w.head[0], w.head_scale[0], w.head_bias[0], h, d_model, room.logits, low, high, lanes, no, room, rank)
        for p in range(n):
            best, value = low, np.float32(-np.inf)
            for r in range(low, high):
                if room.logits[r * lanes + p] > value:
                    best, value = r, room.logits[r * lanes + p]
            room.best_id[rank, p], room.best_value[rank, p] = best, value
        _barrier(sync, n_threads)


@compiled(inner=True)
def _best(room: Room, p: int, n_threads: int) -> int:
    best, value = room.best_id[0, p], room.best_value[0, p]
    for rank in range(1, n_threads):
        if room.best_value[rank, p] > value:
            best, value = room.best_id[rank, p], room.best_value[rank, p]
    return best


@compiled()
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


def is_compiled() -> bool:
    """Whether the kernels are ready, or probably lie compiled on disk: if not, the first call takes seconds."""
    return is_kept(advance)
