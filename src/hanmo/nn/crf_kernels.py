"""Compiled sums and maxima over all paths of a chain, row by row on a CPU.

Shapes: B batch, T positions, C labels. A forbidden score is below `never`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.addresses import pointer_to
from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled, compiled_worker
from hanmo.core.team import run_team

__all__ = ["best_paths", "path_sums"]

_LANES = 8
"""fp64 numbers of a register, at most."""
_TINY = 1e-290
"""A share of the paths that is smaller may have lost digits."""


@compiled(inner=True)
def _add_scaled(sums: np.ndarray, factor: float, row: np.ndarray) -> None:
    for j in range(len(sums)):
        sums[j] += factor * row[j]


@compiled()
def path_sums(
    emissions: np.ndarray,
    transitions: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    lengths: np.ndarray,
    never: float,
    partition: np.ndarray,
    posteriors: np.ndarray,
    pairs: np.ndarray,
    with_posteriors: bool,
) -> bool:
    """Forward and backward sums (Rabiner, 1989, §V.A: scaled, not in logarithms), all fp64.

    Args:
        emissions: (B, T, C).
        transitions: (C, C), from the first to the second.
        start: (C,).
        end: (C,).
        lengths: (B,) int64.
        never: scores below it are forbidden.
        partition: receives log Z, (B,).
        posteriors: receives p(label at t), (B, T, C), where they are wanted.
        pairs: receives the expected number of each transition, (B, C, C), where they are wanted.
        with_posteriors: whether they are.

    Returns:
        False if scores lie so far apart that digits were lost: nothing that was received may then be used.
    """
    n_rows, n_steps, n_labels = emissions.shape
    top = never
    for i in range(n_labels):
        for j in range(n_labels):
            top = max(top, transitions[i, j])
    follow = np.zeros((n_labels, n_labels))  # a forbidden one stays zero
    preceded = np.zeros((n_labels, n_labels))
    for i in range(n_labels):
        for j in range(n_labels):
            follow[i, j] = preceded[j, i] = math.exp(transitions[i, j] - top)
    alpha = np.zeros((n_steps, n_labels))
    local = np.zeros((n_steps, n_labels))
    scale = np.zeros(n_steps)
    beta = np.zeros(n_labels)
    ahead = np.zeros(n_labels)
    closing = np.zeros(n_labels)
    for b in range(n_rows):
        n = lengths[b]
        if with_posteriors:
            posteriors[b] = 0.0
            pairs[b] = 0.0
        partition[b] = 0.0
        if n == 0:
            continue
        high = -np.inf
        for j in range(n_labels):
            high = max(high, start[j] + emissions[b, 0, j])
        if not high > never:
            return False
        total = 0.0
        for j in range(n_labels):
            alpha[0, j] = math.exp(start[j] + emissions[b, 0, j] - high)
            if alpha[0, j] < _TINY and start[j] > never:
                return False
            total += alpha[0, j]
        if not total > 0.0:
            return False
        for j in range(n_labels):
            alpha[0, j] /= total
        log_z = high + math.log(total)
        for t in range(1, n):
            high = -np.inf
            for j in range(n_labels):
                high = max(high, emissions[b, t, j])
                alpha[t, j] = 0.0
            for i in range(n_labels):
                _add_scaled(alpha[t], alpha[t - 1, i], follow[i])
            total = 0.0
            for j in range(n_labels):
                local[t, j] = math.exp(emissions[b, t, j] - high)
                alpha[t, j] *= local[t, j]
                total += alpha[t, j]
            if not (total > _TINY and high > -np.inf):
                return False
            scale[t] = total
            log_z += high + top + math.log(total)
            for j in range(n_labels):
                alpha[t, j] /= total
                if alpha[t, j] < _TINY:
                    for i in range(n_labels):
                        if alpha[t - 1, i] > 0.0 and transitions[i, j] > never:
                            return False
                    alpha[t, j] = 0.0
        high = -np.inf
        for j in range(n_labels):
            high = max(high, end[j])
        total = 0.0
        for j in range(n_labels):
            closing[j] = math.exp(end[j] - high)
            total += alpha[n - 1, j] * closing[j]
        if not (total > _TINY and high > never):
            return False
        partition[b] = log_z + high + math.log(total)
        if not with_posteriors:
            continue
        for j in range(n_labels):
            beta[j] = closing[j] / total if alpha[n - 1, j] > 0.0 else 0.0
            posteriors[b, n - 1, j] = alpha[n - 1, j] * beta[j]
        for t in range(n - 1, 0, -1):
            for j in range(n_labels):
                ahead[j] = local[t, j] * beta[j] / scale[t]
                beta[j] = 0.0
            for j in range(n_labels):
                _add_scaled(beta, ahead[j], preceded[j])
            for i in range(n_labels):
                share = alpha[t - 1, i]
                if share == 0.0:
                    beta[i] = 0.0  # no path comes here, and the sum from here on may be of any size
                posteriors[b, t - 1, i] = share * beta[i]
                _add_scaled(pairs[b, i], share, ahead)
        for i in range(n_labels):
            for j in range(n_labels):
                pairs[b, i, j] *= follow[i, j]
    return True


@compiled(inner=True)
def _best_path(
    emissions: np.ndarray, transitions: np.ndarray, start: np.ndarray, end: np.ndarray, path: np.ndarray,
    before: np.ndarray, best: np.ndarray, new: np.ndarray, which: np.ndarray,
) -> Any:  # fmt: skip
    """Of one row; `transitions` and the last three are padded to whole registers. Returns its score."""
    n, n_labels = emissions.shape
    width = new.size
    for j in range(n_labels):
        best[j] = start[j] + emissions[0, j]
    for t in range(1, n):
        for j in range(width):
            new[j] = best[0] + transitions[0, j]
            which[j] = 0
        for i in range(1, n_labels):
            one, here = best[i], transitions[i]
            for j in range(width):  # labels as floats: lanes of one width, and no branch
                value = one + here[j]
                greater = value > new[j]
                new[j] = value if greater else new[j]
                which[j] = i if greater else which[j]
        for j in range(n_labels):
            best[j] = new[j] + emissions[t, j]
            before[t, j] = np.int32(which[j])
    label = 0
    for j in range(n_labels):
        best[j] += end[j]
        if best[j] > best[label]:
            label = j
    score = best[label]
    for t in range(n - 1, 0, -1):
        path[t] = label
        label = before[t, label]
    path[0] = label
    return score


@compiled_worker()
def _some_best_paths(address: Any) -> None:
    p = carray(address, (12,), np.int64)
    n_rows, n_steps, n_labels, width = p[8], p[9], p[10], p[11]
    emissions = carray(pointer_to(p[1]), (n_rows, n_steps, n_labels), np.float64)
    transitions = carray(pointer_to(p[2]), (n_labels, width), np.float64)
    start, end = carray(pointer_to(p[3]), n_labels, np.float64), carray(pointer_to(p[4]), n_labels, np.float64)
    lengths, paths = carray(pointer_to(p[5]), n_rows, np.int64), carray(pointer_to(p[6]), (n_rows, n_steps), np.int64)
    scores = carray(pointer_to(p[7]), n_rows, np.float64)
    before, room = np.empty((n_steps, n_labels), np.int32), np.zeros((3, width))
    while True:
        b = atomic_add(p, 0, 1)
        if b >= n_rows:
            break
        n = lengths[b]
        scores[b] = 0.0
        if n > 0:
            scores[b] = _best_path(
                emissions[b, :n], transitions, start, end, paths[b], before, room[0], room[1], room[2]
            )


def best_paths(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, paths: Tensor, scores: Tensor
) -> None:
    """The best path of each row (Viterbi, 1967); of equals, the one with the first label.

    Args:
        emissions: (B, T, C) fp64, as all but lengths and paths.
        transitions: (C, C).
        start: (C,).
        end: (C,).
        lengths: (B,) int64.
        paths: receives the labels, (B, T) int64; only the first `lengths` are written.
        scores: receives their scores, (B,); 0 for a row of no positions.
    """
    n_labels = len(start)
    width = -(-n_labels // _LANES) * _LANES
    padded = F.pad(transitions, (0, width - n_labels), value=-math.inf)
    arrays = [part.contiguous() for part in (emissions, padded, start, end, lengths)]
    places = [part.data_ptr() for part in (*arrays, paths, scores)]
    run_team(_some_best_paths, np.array([0, *places, *emissions.shape, width], np.int64))
