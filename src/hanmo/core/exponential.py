"""e**x inside of compiled loops, where the C library's would be called for one number after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["FASTMATH", "exp"]

FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
"""Sums may be taken in any order; NaN and infinity keep their meaning."""


@compiled(fastmath=FASTMATH, inner=True)
def exp(x: Any) -> Any:
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
