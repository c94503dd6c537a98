"""Scores of a vocabulary to their loss and its gradient, on a CPU: each row while it is in the nearest cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import carray
from torch import Tensor

from hanmo.core.addresses import pointer_to
from hanmo.core.atomics import atomic_add
from hanmo.core.compiled import compiled, compiled_worker
from hanmo.core.exponential import FASTMATH, exp
from hanmo.core.halves import rounded, widened
from hanmo.core.team import run_team

__all__ = ["score_rows"]


@compiled(fastmath=FASTMATH, inner=True)
def _score_row(row: np.ndarray, label: int, smoothing: Any, with_gradient: bool) -> Any:
    """The loss of a row of scores, which become its gradient: softmax - (1 - ε) onehot - ε / V."""
    n = row.size
    most, total, strange = np.float32(-np.inf), np.float32(0), np.int32(0)
    for i in range(n):
        most = max(most, row[i])
        total += row[i]
        strange |= np.int32(row[i] != row[i])
    if strange or most == np.float32(np.inf) or most == np.float32(-np.inf):
        row[:] = np.nan
        return np.float32(np.nan)
    mass = np.float32(0)
    for i in range(n):
        mass += exp(row[i] - most)
    lse = most + np.float32(math.log(mass))
    spread = smoothing / np.float32(n)
    loss = lse - (np.float32(1) - smoothing) * row[label]
    if smoothing > 0:
        loss -= spread * total
    if with_gradient:
        scale = np.float32(1) / mass
        for i in range(n):
            row[i] = exp(row[i] - most) * scale - spread
        row[label] -= np.float32(1) - smoothing
    return loss


@compiled_worker(fastmath=FASTMATH)
def _score_some(address: Any) -> None:
    p = carray(address, (10,), np.int64)
    n_rows, width, with_gradient = p[6], p[7], p[9] != 0
    labels, losses = carray(pointer_to(p[2]), n_rows, np.int64), carray(pointer_to(p[3]), n_rows, np.float32)
    scores = carray(pointer_to(p[1]), (n_rows, width), np.float32)
    smoothing = np.uint32(p[8]).view(np.float32)
    while True:
        i = atomic_add(p, 0, 1)
        if i >= n_rows:
            break
        if labels[i] < 0:
            losses[i] = 0
            scores[i, :] = 0
        else:
            losses[i] = _score_row(scores[i], labels[i], smoothing, with_gradient)


@compiled_worker(fastmath=FASTMATH)
def _score_some_halves(address: Any) -> None:
    p = carray(address, (10,), np.int64)
    n_rows, width, with_gradient = p[6], p[7], p[9] != 0
    labels, losses = carray(pointer_to(p[2]), n_rows, np.int64), carray(pointer_to(p[3]), n_rows, np.float32)
    scores = carray(pointer_to(p[1]), (n_rows, width), np.uint16)
    row = carray(pointer_to(p[4]), (p[5], width), np.float32)[atomic_add(p, 5, -1) - 1]
    smoothing = np.uint32(p[8]).view(np.float32)
    while True:
        i = atomic_add(p, 0, 1)
        if i >= n_rows:
            break
        if labels[i] < 0:
            losses[i] = 0
            scores[i, :] = 0
            continue
        for j in range(width):
            row[j] = widened(scores[i, j])
        losses[i] = _score_row(row, labels[i], smoothing, with_gradient)
        if with_gradient:
            for j in range(width):
                scores[i, j] = rounded(row[j])


_WORKERS = {torch.float32: _score_some, torch.bfloat16: _score_some_halves}


def score_rows(scores: Tensor, labels: Tensor, *, smoothing: float, with_gradient: bool) -> Tensor:
    """Cross-entropy of each row of scores in nats; the scores are overwritten.

    Args:
        scores: (N, V) float32 or bfloat16, contiguous; afterwards the gradient of the loss with respect to them, or of no
            use where that is not asked for.
        labels: (N,) int64, below V; rows with a negative one have loss and gradient 0.
        smoothing: share of the target that is spread over the vocabulary.
        with_gradient: whether it is wanted.

    Returns:
        (N,) float32. NaN where a score is NaN or infinite above, or all of them are -inf.
    """
    n_rows, width = scores.shape
    losses = torch.empty(n_rows)
    n_threads = torch.get_num_threads()
    room = torch.empty((n_threads, width) if scores.dtype == torch.bfloat16 else 0)
    labels = labels.contiguous()
    places = (scores.data_ptr(), labels.data_ptr(), losses.data_ptr(), room.data_ptr())
    epsilon = int(np.float32(smoothing).view(np.uint32))
    parameters = [0, *places, n_threads, n_rows, width, epsilon, int(with_gradient)]
    run_team(_WORKERS[scores.dtype], np.array(parameters, np.int64))
    return losses
