"""Compiled functions of single activations: norms, activation functions, rounding. For `kernels`."""

from __future__ import annotations

import math

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.core.exponential import FASTMATH, exp

__all__ = ["activate", "norm", "split"]


@compiled(fastmath=FASTMATH, inner=True)
def activate(x: np.ndarray, kind: int) -> None:
    """In place; `kind` is a place in `packing._KERNEL_ACTIVATIONS`."""
    one = np.float32(1)
    if kind == 0:  # GELU, tanh form (Hendrycks & Gimpel, 2016): 0.5 x (1 + tanh(u)) = x sigmoid(2 u)
        for i in range(x.size):
            v = x[i]
            u = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
            x[i] = v / (one + exp(-u))
    elif kind == 1:  # SiLU
        for i in range(x.size):
            x[i] = x[i] / (one + exp(-x[i]))
    elif kind == 2:  # ReLU
        for i in range(x.size):
            x[i] = max(x[i], np.float32(0))
    elif kind == 3:  # GELU
        for i in range(x.size):
            x[i] = np.float32(0.5) * x[i] * (one + np.float32(math.erf(x[i] * np.float32(0.7071067811865476))))
    elif kind == 4:  # squared ReLU (So et al., 2021)
        for i in range(x.size):
            v = max(x[i], np.float32(0))
            x[i] = v * v
    else:  # QuickGELU
        for i in range(x.size):
            x[i] = x[i] / (one + exp(np.float32(-1.702) * x[i]))


@compiled(fastmath=FASTMATH, inner=True)
def norm(x: np.ndarray, out: np.ndarray, norm: np.ndarray, n: int, lanes: int, rms: bool, eps: float) -> None:
    """LayerNorm, or RMSNorm with `rms`, of the first n of `lanes` positions; `norm` is (weight, bias)."""
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


@compiled(fastmath=FASTMATH, inner=True)
def split(x: np.ndarray, size: int, columns: int, coarse: np.ndarray, fine: np.ndarray, factors: np.ndarray) -> None:
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
