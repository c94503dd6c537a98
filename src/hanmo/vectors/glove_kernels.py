"""The training loop of GloVe, compiled, and the order in which co-occurrences are learnt from.

The matrix of co-occurrences is cut into tiles, blocks of rows by blocks of columns, so small that the vectors of a tile
fit the cache of a core; inside a tile the order is random. Tiles that share neither rows nor columns are trained at the
same time, as in Gemulla, Nijkamp, Haas and Sismanis (2011), "Large-Scale Matrix Factorization with Distributed
Stochastic Gradient Descent", §5. No two threads ever change the same vector, so the result does not depend on their
number or their luck.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["RECORD", "arrange", "train_tiles"]

RECORD = np.dtype([("row", "<u2"), ("column", "<u2"), ("log", "<f4"), ("weight", "<f4")])
"""A co-occurrence: row and column inside its tile, log X and f(X)."""


@compiled()
def arrange(
    rows: np.ndarray, columns: np.ndarray, values: np.ndarray, unit: float, bounds: np.ndarray, block_of: np.ndarray,
    x_max: float, alpha: float, draws: np.ndarray, starts: np.ndarray, records: Any,
) -> None:  # fmt: skip
    """Put the co-occurrences of a block of rows into its tiles, each in random order (Fisher-Yates).

    Args:
        rows: inside the block, (n,) uint16.
        columns: (n,) int32.
        values: how often they occur together, in units, (n,) int64.
        unit: units in one co-occurrence.
        bounds: where each block of words begins, and the end, (B + 1,) int64.
        block_of: block of each word, (V,) int32.
        x_max: X from which the weight is 1.
        alpha: exponent of the weight below it.
        draws: random numbers, (n,) uint32.
        starts: receives where each tile begins, and the end, (B + 1,) int64.
        records: receives them, (n,) `RECORD`.
    """
    starts[:] = 0
    for k in range(len(columns)):
        starts[block_of[columns[k]] + 1] += 1
    for b in range(len(starts) - 1):
        starts[b + 1] += starts[b]
    behind = starts[:-1].copy()
    log_unit, log_max = math.log(unit), math.log(x_max)
    for k in range(len(columns)):
        block = block_of[columns[k]]
        record = records[behind[block]]
        behind[block] += 1
        log_x = math.log(float(values[k])) - log_unit
        record.row, record.column = rows[k], columns[k] - bounds[block]
        record.log, record.weight = log_x, math.exp(alpha * min(log_x - log_max, 0.0))
    for b in range(len(starts) - 1):
        low = starts[b]
        for k in range(starts[b + 1] - low - 1, 0, -1):
            other = records[low + ((np.int64(draws[low + k]) * (k + 1)) >> 32)]
            own = records[low + k]
            row, column, log_x, weight = own.row, own.column, own.log, own.weight
            own.row, own.column, own.log, own.weight = other.row, other.column, other.log, other.weight
            other.row, other.column, other.log, other.weight = row, column, log_x, weight


@compiled(fastmath=True)
def _train_tile(
    records: Any, x: np.ndarray, x_squares: np.ndarray, y: np.ndarray, y_squares: np.ndarray,
    x_biases: np.ndarray, y_biases: np.ndarray, lr: float,
) -> float:  # fmt: skip
    """Learn from the co-occurrences of a tile, one after the other; the sum of their losses before each."""
    rate = np.float32(lr)
    loss = 0.0
    for k in range(len(records)):
        record = records[k]
        i, j = np.int64(record.row), np.int64(record.column)
        a, b, a_squares, b_squares = x[i], y[j], x_squares[i], y_squares[j]
        product = np.float32(0)
        for d in range(len(a)):
            product += a[d] * b[d]
        error = product + x_biases[i, 0] + y_biases[j, 0] - record.log
        slope = record.weight * error
        loss += 0.5 * slope * error
        step = rate * slope
        for d in range(len(a)):
            own, other = a[d], b[d]
            for_own, for_other = step * other, step * own
            a[d] = own - for_own / np.sqrt(a_squares[d])
            b[d] = other - for_other / np.sqrt(b_squares[d])
            a_squares[d] += for_own * for_own
            b_squares[d] += for_other * for_other
        x_biases[i, 0] -= slope / np.sqrt(x_biases[i, 1])
        y_biases[j, 0] -= slope / np.sqrt(y_biases[j, 1])
        x_biases[i, 1] += slope * slope
        y_biases[j, 1] += slope * slope
    return loss


@compiled()
def train_tiles(
    records: Any, starts: np.ndarray, bounds: np.ndarray, tiles: np.ndarray,
    x: np.ndarray, x_squares: np.ndarray, y: np.ndarray, y_squares: np.ndarray,
    x_biases: np.ndarray, y_biases: np.ndarray, lr: float, losses: np.ndarray,
) -> None:  # fmt: skip
    """Train on tiles, one after the other, by AdaGrad (Duchi et al., 2011) on ½ f(X) (w·w̃ + b + b̃ - log X)².

    `train_plain` in `glove_plain` is the same in numpy.

    Args:
        records: all co-occurrences, `RECORD`.
        starts: where tiles begin, and the ends, (B, B + 1) int64.
        bounds: where each block of words begins, and the end, (B + 1,) int64.
        tiles: block of rows and block of columns of each, (n, 2) int64.
        x: vectors of words, (V, padded dim) float32.
        x_squares: sums of the squares of their steps, likewise.
        y: vectors of contexts.
        y_squares: sums of squares of those.
        x_biases: biases of words and their sums of squares, (V, 2) float32.
        y_biases: those of contexts.
        lr: learning rate.
        losses: receives the sum of the losses of each tile, at its block of rows; (B,) float64.
    """
    for t in range(len(tiles)):
        row, column = tiles[t, 0], tiles[t, 1]
        part = records[starts[row, column] : starts[row, column + 1]]
        i, j = bounds[row], bounds[row + 1]
        k, m = bounds[column], bounds[column + 1]
        losses[row] = _train_tile(
            part, x[i:j], x_squares[i:j], y[k:m], y_squares[k:m], x_biases[i:j], y_biases[k:m], lr
        )
