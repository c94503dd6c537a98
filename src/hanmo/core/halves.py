"""bfloat16 inside of compiled loops, which have no such type: the upper half of a float32, as uint16."""

from __future__ import annotations

from typing import Any

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["rounded", "widened"]


@compiled(inner=True)
def widened(bits: Any) -> Any:
    """uint16 → float32."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@compiled(inner=True)
def rounded(value: Any) -> Any:
    """float32 → uint16, to the nearest, ties to even."""
    bits = np.uint32(np.float32(value).view(np.uint32))
    odd = np.uint32(bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16(np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd) >> np.uint32(16))
