"""Rounding rows to 8 bits, and sums of such products back to float32, for `int8_linear`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray
from torch import Tensor

from hanmo.core.addresses import pointer_to
from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled, compiled_worker
from hanmo.core.team import run_team

__all__ = ["restore", "round_rows"]

_SHARE = 32
"""Rows that a thread takes at once."""
_FASTMATH = {"nsz", "contract", "reassoc"}


@compiled(fastmath=_FASTMATH | {"nnan", "ninf"}, inner=True)
def _range(row: np.ndarray) -> Any:
    low = high = row[0]
    for j in range(row.size):
        low, high = min(low, row[j]), max(high, row[j])
    return low, high


@compiled_worker(fastmath=_FASTMATH)
def _round_some(address: Any) -> None:
    p = carray(address, (7,), np.int64)
    n, width = p[5], p[6]
    x, whole = carray(pointer_to(p[1]), (n, width), np.float32), carray(pointer_to(p[2]), (n, width), np.int8)
    scales, middles = carray(pointer_to(p[3]), n, np.float32), carray(pointer_to(p[4]), n, np.float32)
    half = np.float32(0.5)
    while True:
        first = atomic_add(p, 0, _SHARE)
        if first >= n:
            break
        for i in range(first, min(first + _SHARE, n)):
            low, high = _range(x[i])
            middle, reach = half * (low + high), half * (high - low)
            scales[i], middles[i] = reach / np.float32(127), middle
            factor = np.float32(127) / reach if reach > 0 else np.float32(0)
            for j in range(width):
                whole[i, j] = np.int8(np.int32(np.rint((x[i, j] - middle) * factor)))


@compiled_worker(fastmath=_FASTMATH)
def _restore_some(address: Any) -> None:
    p = carray(address, (9,), np.int64)
    n, width = p[7], p[8]
    # read and written as integers: two views of one place could not go through vector registers
    sums = carray(pointer_to(p[1]), (n, width), np.int32)
    rows, middles = carray(pointer_to(p[2]), n, np.float32), carray(pointer_to(p[3]), n, np.float32)
    columns, weights = carray(pointer_to(p[4]), width, np.float32), carray(pointer_to(p[5]), width, np.float32)
    bias = carray(pointer_to(p[6]), width, np.float32)
    while True:
        first = atomic_add(p, 0, _SHARE)
        if first >= n:
            break
        for i in range(first, min(first + _SHARE, n)):
            row, scale, middle = sums[i], rows[i], middles[i]
            for j in range(width):
                value = np.float32(row[j]) * (scale * columns[j]) + (middle * weights[j] + bias[j])
                row[j] = np.float32(value).view(np.int32)


def round_rows(x: Tensor, whole: Tensor, scales: Tensor, middles: Tensor) -> None:
    """x ≈ whole scales + middles, row by row: the least and the greatest number of a row become ∓127.

    Args:
        x: (N, D) float32.
        whole: (N, D) int8, written.
        scales: (N,) float32, written.
        middles: (N,) float32, written.
    """
    places = [tensor.data_ptr() for tensor in (x, whole, scales, middles)]
    run_team(_round_some, np.array([0, *places, *x.shape], np.int64))


def restore(sums: Tensor, scales: Tensor, middles: Tensor, columns: Tensor, weights: Tensor, bias: Tensor) -> None:
    """sums scales columnsᵀ + middles weightsᵀ + bias, the bits of float32 in place of int32.

    Args:
        sums: (N, D) int32.
        scales: (N,) float32, of rows.
        middles: (N,) float32.
        columns: (D,) float32, scales of columns.
        weights: (D,) float32: the sum of what each column was multiplied with.
        bias: (D,) float32.
    """
    places = [tensor.data_ptr() for tensor in (sums, scales, middles, columns, weights, bias)]
    run_team(_restore_some, np.array([0, *places, *sums.shape], np.int64))
