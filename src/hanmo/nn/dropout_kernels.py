"""Dropout on a CPU: random numbers are made where they are used, and made again for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from hanmo.core.addresses import pointer_to
from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled, compiled_worker
from hanmo.core.halves import rounded, widened
from hanmo.core.team import run_team

__all__ = ["drop"]

_SHARE = 1 << 15
"""Elements that a thread takes at once."""


@compiled(inner=True)
def _hash(number: Any, first: Any, second: Any) -> Any:
    """32 random bits for each number: the finalizer of MurmurHash3 (Appleby, 2011) over a counter, with two keys."""
    # numba widens a product of two 32-bit numbers to 64 bits
    h = np.uint32(np.uint32(number * np.uint32(0x9E3779B9)) + first)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13)) ^ second) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@compiled_worker()
def _drop_some(address: Any) -> None:
    p = carray(address, (8,), np.int64)
    n = p[7]
    x, out = carray(pointer_to(p[1]), n, np.float32), carray(pointer_to(p[2]), n, np.float32)
    one, other, limit = np.uint32(p[3]), np.uint32(p[4]), np.uint32(p[5])
    factor, zero = np.uint32(p[6]).view(np.float32), np.float32(0.0)
    while True:
        first = atomic_add(p, 0, _SHARE)
        if first >= n:
            break
        for i in range(first, min(first + _SHARE, n)):
            out[i] = x[i] * factor if _hash(np.uint32(i), one, other) >= limit else zero


@compiled_worker()
def _drop_some_halves(address: Any) -> None:
    p = carray(address, (8,), np.int64)
    n = p[7]
    x, out = carray(pointer_to(p[1]), n, np.uint16), carray(pointer_to(p[2]), n, np.uint16)
    one, other, limit = np.uint32(p[3]), np.uint32(p[4]), np.uint32(p[5])
    factor, zero = np.uint32(p[6]).view(np.float32), np.uint16(0)
    while True:
        first = atomic_add(p, 0, _SHARE)
        if first >= n:
            break
        for i in range(first, min(first + _SHARE, n)):
            # computed for all and then chosen: in a branch the calls would keep the loop from vector instructions
            kept = rounded(widened(x[i]) * factor)
            out[i] = kept if _hash(np.uint32(i), one, other) >= limit else zero


_WORKERS = {torch.float32: _drop_some, torch.bfloat16: _drop_some_halves}


def drop(x: Tensor, out: Tensor, first: int, second: int, least: int, scale: float) -> None:
    """Zeros, or the input times `scale`.

    Args:
        x: float32 or bfloat16, numbers beside each other.
        out: likewise, as many.
        first: key, below 2**32; the same two keys drop the same elements.
        second: key, below 2**32.
        least: elements whose 32 bits are below it are dropped.
        scale: of the others.
    """
    bits = int(np.float32(scale).view(np.uint32))
    places = (x.data_ptr(), out.data_ptr())
    run_team(_WORKERS[x.dtype], np.array([0, *places, first, second, least, bits, x.numel()], np.int64))
