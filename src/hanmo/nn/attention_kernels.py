"""Attention on a CPU: which head of which text is computed when, and by whom. For `attention_cpu`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled_worker
from hanmo.core.team import run_team
from hanmo.nn.attention_frame import PARAMETERS, WIDTH
from hanmo.nn.attention_lanes import attend_head, learn_head, room_for

__all__ = ["attend", "learn"]

_SHARES = 8
"""Parts of the work for each thread: who is done early takes another."""
_N = len(PARAMETERS)
_BEGUN, _THREADS, _ROOM, _ROOM_SIZE, _ALL, _FEW, _D_OUT = (
    PARAMETERS.index(name) for name in ("begun", "threads", "room", "room_size", "n", "few", "d_out")
)


@compiled_worker()
def _some_heads(address: Any) -> None:
    """A share of the heads after the other, until there are none left: gradients where that of the output is given."""
    p = carray(address, (_N,), np.int64)
    room = p[_ROOM] + 4 * p[_ROOM_SIZE] * atomic_add(p, _THREADS, 1)
    while True:
        first = atomic_add(p, _BEGUN, p[_FEW])
        if first >= p[_ALL]:
            break
        for number in range(first, min(first + p[_FEW], p[_ALL])):
            if p[_D_OUT] == 0:
                attend_head(p.ctypes.data, number, room)
            else:
                learn_head(p.ctypes.data, number, room)


def attend(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, *, scale: float, causal: bool, draw: tuple[int, int, float],
    keep: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Outputs, and what `learn` needs besides.

    Args:
        q: (B, T, H, K) float32, the numbers of a head beside each other, K a multiple of 16.
        k: (B, S, G, K), likewise.
        v: as k, with the same strides.
        seen: (B, S) bool, keys that are seen; all if None.
        scale: of the scores.
        causal: whether the last query sees all keys, the one before one less.
        draw: two keys of 32 bits and the probability of dropping a weight.
        keep: whether `learn` will be called.

    Returns:
        (B, T, H, K); and (B H T, 2), or None unless `keep`.
    """
    out = torch.empty(q.shape)
    stats = torch.empty(q.shape[0] * q.shape[2] * q.shape[1], 2) if keep else None
    _run(q, k, v, seen, scale, causal, draw, out=out, stats=stats)
    return out, stats


def learn(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, out: Tensor, stats: Tensor, d_out: Tensor, *, scale: float,
    causal: bool, draw: tuple[int, int, float],
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients for q, k and v, each (B, T or S, H or G, K), from that of the output, which has its strides."""
    d_q = torch.empty(q.shape)
    shape = (*k.shape[:2], q.shape[2], k.shape[3])
    d_k, d_v = (torch.zeros(shape) if causal else torch.empty(shape) for _ in range(2))
    given = {"out": out, "stats": stats, "d_out": d_out, "d_q": d_q, "d_k": d_k, "d_v": d_v}
    _run(q, k, v, seen, scale, causal, draw, **given)
    if k.shape[2] != q.shape[2]:  # heads that share a key each have a gradient for it
        d_k, d_v = (x.unflatten(2, (k.shape[2], -1)).sum(3) for x in (d_k, d_v))
    return d_q, d_k, d_v


def _run(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, scale: float, causal: bool, draw: tuple[int, int, float],
    **arrays: Tensor | None,
) -> None:  # fmt: skip
    (B, T, H, K), (S, G) = q.shape, k.shape[1:3]
    columns, n_threads = -(-S // WIDTH) * WIDTH, torch.get_num_threads()
    bias = torch.zeros(B, columns)
    bias[:, S:] = -torch.inf
    if seen is not None:
        bias[:, :S].masked_fill_(~seen, -torch.inf)
    room_size = room_for(columns, K, "d_out" in arrays)
    tensors = {"q": q, "k": k, "v": v, "bias": bias, "room": torch.empty(n_threads, room_size), **arrays}
    first, second, p = draw
    values = {
        "q_row": q.stride(0), "q_step": q.stride(1), "q_head": q.stride(2),
        "k_row": k.stride(0), "k_step": k.stride(1), "k_head": k.stride(2),
        "columns": columns, "room_size": room_size,
        "n_heads": H, "group": H // G, "n": B * H, "few": max(1, B * H // (_SHARES * n_threads)),
        "causal": causal, "T": T, "S": S, "K": K, "scale": _bits(scale),
        "first": first, "second": second, "least": min(round(p * 2**32), 2**32 - 1), "factor": _bits(1 / (1 - p)),
    }  # fmt: skip
    values |= {name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None}
    run_team(_some_heads, np.array([values.get(name, 0) for name in PARAMETERS], np.int64))


def _bits(value: float) -> int:
    return int(np.float32(value).view(np.int32))
