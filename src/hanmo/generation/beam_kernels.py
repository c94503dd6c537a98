"""One step of all beams of many sources on a CPU: from a token to the best next ones, no framework call in between.

Every thread runs `step` on shared arrays and takes some rows after the other through all layers, while the others do the
same with theirs: nobody waits but at the end. A row's keys and values are never moved: `ancestors` says where they lie.

Shapes and arrays: `beam_layout`.
"""

from __future__ import annotations

import math

import numpy as np

from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled, is_kept
from hanmo.generation.beam_lanes import TILE, attend, look, multiply_rows, total
from hanmo.generation.beam_layout import DecoderPlan, DecoderWeights, Room, Rows, Source
from hanmo.generation.pointwise import FASTMATH, activate, exp, norm
from hanmo.nn.attention_frame import WIDTH

__all__ = ["is_compiled", "step"]


@compiled(fastmath=FASTMATH, inner=True)
def _begin(out: np.ndarray, bias: np.ndarray, n: int) -> None:
    """What a product is added to."""
    for r in range(n):
        for k in range(bias.size):
            out[r, k] = bias[k]


@compiled(fastmath=FASTMATH, inner=True)
def _add_norm(x: np.ndarray, n: int, w: np.ndarray, eps: float) -> None:
    size = w.shape[1]
    for r in range(n):
        norm(x[r, :size], x[r, :size], w, 1, 1, False, eps)


@compiled(fastmath=FASTMATH, inner=True)
def _add_bias(x: np.ndarray, bias: np.ndarray, n: int) -> None:
    for r in range(n):
        for k in range(bias.size):
            x[r, k] += bias[k]


@compiled(inner=True)
def _multiply(a: np.ndarray, size: int, panels: np.ndarray, out: np.ndarray, n: int) -> None:
    multiply_rows(a, a.shape[1], panels, out, out.shape[1], n, panels.shape[0] * WIDTH, size)


@compiled(inner=True)
def _layers(
    plan: DecoderPlan, w: DecoderWeights, source: Source, rows: Rows, room: Room, rank: int, low: int, n: int
) -> None:
    """The n rows from `low` on through all layers, into `room.x`."""
    d_model, d_ff = w.norms.shape[3], w.down.shape[2]
    x, mixed, wide, scores, places = (
        room.x[rank],
        room.mixed[rank],
        room.wide[rank],
        room.scores[rank],
        room.places[rank],
    )
    n_layers, n_held, first = w.norms.shape[0], rows.ancestors.shape[1], rows.first_slot + low
    n_real, size = source.rows.shape[0] // n_layers, d_model // plan.n_heads
    for r in range(n):
        token, position = w.embedding[rows.tokens[low + r]], w.positions[n_held]
        for k in range(d_model):
            x[r, k] = token[k] * np.float32(plan.scale) + position[k]
    for layer in range(n_layers):
        _begin(wide, w.qkv_bias[layer], n)
        _multiply(x, d_model, w.qkv[layer], wide, n)
        for r in range(n):
            for k in range(2 * d_model):
                rows.held[first + r, layer, k] = wide[r, d_model + k]
            for t in range(n_held):
                places[t] = rows.ancestors[low + r, t] * n_layers + layer
            places[n_held] = (first + r) * n_layers + layer
            scale = w.scales[layer, 0]
            attend(wide[r], rows.held, 2 * d_model, places, n_held + 1, plan.n_heads, size, scale, scores, mixed[r])
        _add_bias(x, w.out_bias[layer], n)
        _multiply(mixed, d_model, w.out[layer], x, n)
        _add_norm(x, n, w.norms[layer, 0], plan.eps)
        _begin(wide, w.query_bias[layer], n)
        _multiply(x, d_model, w.query[layer], wide, n)
        for r in range(n):
            start, stop = source.starts[rows.sources[low + r]], source.starts[rows.sources[low + r] + 1]
            for s in range(stop - start):
                places[s] = layer * n_real + start + s
            scale = w.scales[layer, 1]
            attend(wide[r], source.rows, 2 * d_model, places, stop - start, plan.n_heads, size, scale, scores, mixed[r])
        _add_bias(x, w.cross_bias[layer], n)
        _multiply(mixed, d_model, w.cross[layer], x, n)
        _add_norm(x, n, w.norms[layer, 1], plan.eps)
        _begin(wide, w.up_bias[layer], n)
        _multiply(x, d_model, w.up[layer], wide, n)
        for r in range(n):
            activate(wide[r, :d_ff], plan.activation)
        _add_bias(x, w.down_bias[layer], n)
        _multiply(wide, d_ff, w.down[layer], x, n)
        _add_norm(x, n, w.norms[layer, 2], plan.eps)


@compiled(inner=True)
def _take(tile: np.ndarray, column: int, flags: np.ndarray, first_id: int, values: np.ndarray, ids: np.ndarray) -> None:
    """Put what is better into a list of the best, best first; of equal ones the first stays before."""
    last = values.size - 1
    for i in range(1, flags[0] + 1):
        for c in range(flags[i], flags[i] + WIDTH):
            value = tile[c]
            if value > values[last]:
                place = last
                while place > 0 and values[place - 1] < value:
                    values[place], ids[place] = values[place - 1], ids[place - 1]
                    place -= 1
                values[place], ids[place] = value, first_id + c


@compiled(inner=True)
def _head(w: DecoderWeights, source: Source, rows: Rows, room: Room, rank: int, low: int, n: int) -> None:
    """From `room.x` to the best next tokens, a tile of the vocabulary after the other."""
    x, tile, tops, sums, found, flags = (
        room.x[rank], room.tile[rank], room.tops[rank], room.sums[rank], room.found[rank], room.flags[rank],
    )  # fmt: skip
    columns, d_model = source.head_bias.size, w.norms.shape[3]
    for r in range(n):
        tops[r], sums[r] = np.float32(-1e30), np.float32(0)
        rows.values[low + r] = np.float32(-np.inf)
        rows.ids[low + r] = 0
    last = rows.values.shape[1] - 1
    for c in range(0, columns, TILE):
        here = min(TILE, columns - c)
        _begin(tile, source.head_bias[c : c + here], n)
        multiply_rows(x, x.shape[1], w.head[c // WIDTH], tile, tile.shape[1], n, here, d_model)
        for r in range(n):
            look(tile[r], here, rows.values[low + r, last], found, flags)
            top = max(found[0], tops[r])
            if flags[0] > 0:
                _take(tile[r], 0, flags, c, rows.values[low + r], rows.ids[low + r])
            total(tile[r], here, top, found[1:])
            sums[r] = sums[r] * exp(tops[r] - top) + found[1]
            tops[r] = top
    for r in range(n):
        rows.totals[low + r] = tops[r] + np.float32(math.log(sums[r]))


@compiled()
def step(
    plan: DecoderPlan, w: DecoderWeights, source: Source, rows: Rows, room: Room, rank: int, n_threads: int
) -> int:  # fmt: skip
    """Take some rows after the other until there are none left; returns how many."""
    n_rows, most = rows.tokens.size, room.x.shape[1]
    some = min(most, (n_rows + n_threads - 1) // n_threads)
    taken = 0
    while True:
        low = atomic_add(rows.begun, 0, some)
        if low >= n_rows:
            return taken
        n = min(some, n_rows - low)
        _layers(plan, w, source, rows, room, rank, low, n)
        _head(w, source, rows, room, rank, low, n)
        taken += n


def is_compiled() -> bool:
    """Whether the kernels are ready, or probably lie compiled on disk: if not, the first call takes seconds."""
    return is_kept(step)
