"""Dropout on a CPU: random numbers are made where they are used, and made again for the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["drop"]


@compiled(inner=True)
def _hash(number: Any, first: Any, second: Any) -> Any:
    """32 random bits for each number: the finalizer of MurmurHash3 (Appleby, 2011) over a counter, with two keys."""
    # numba widens a product of two 32-bit numbers to 64 bits
    h = np.uint32(np.uint32(number * np.uint32(0x9E3779B9)) + first)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13)) ^ second) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@compiled()
def drop(x: np.ndarray, out: np.ndarray, first: int, second: int, least: int, scale: float) -> None:
    """Zeros, or the input times `scale`.

    Args:
        x: (N,) float32.
        out: (N,) float32.
        first: key, below 2**32; the same two keys drop the same elements.
        second: key, below 2**32.
        least: elements whose 32 bits are below it are dropped.
        scale: of the others.
    """
    one, other, limit, factor = np.uint32(first), np.uint32(second), np.uint32(least), np.float32(scale)
    zero = np.float32(0.0)
    for i in range(len(x)):
        out[i] = x[i] * factor if _hash(np.uint32(i), one, other) >= limit else zero
