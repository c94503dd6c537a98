"""The order-0 token model: every token drawn by its frequency alone, whatever stands before it.

What a trained model gains over it is what it learned about context.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hanmo.metrics.compression import bits_per_byte

__all__ = ["order0_bits_per_byte", "order0_nats"]

_CHUNK = 1 << 20
"""Ids counted at a time: `bincount` widens its input to 64 bits, and shards may be larger than memory."""


def _count(ids: NDArray[np.integer], vocab_size: int, name: str) -> NDArray[np.int64]:
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(ids), _CHUNK):
        chunk = np.asarray(ids[start : start + _CHUNK], dtype=np.int64)
        if chunk.min() < 0 or chunk.max() >= vocab_size:
            raise ValueError(f"{name} holds an id outside 0..{vocab_size - 1}: was it made with another tokenizer?")
        counts += np.bincount(chunk, minlength=vocab_size)
    return counts


def order0_nats(train_ids: NDArray[np.integer], heldout_ids: NDArray[np.integer], *, vocab_size: int) -> float:
    """−Σ ln p(id) over the held-out ids, p counted on the training ids with add-one smoothing (Laplace).

    Args:
        train_ids: token ids to count, (N,), any integer type, may be memory-mapped.
        heldout_ids: token ids to score, (M,).
        vocab_size: number of token types; each gets one extra count.

    Raises:
        ValueError: for an id outside the vocabulary.
    """
    counts = _count(train_ids, vocab_size, "train_ids")
    scored = _count(heldout_ids, vocab_size, "heldout_ids")
    log_p = np.log(counts + 1.0) - math.log(len(train_ids) + vocab_size)
    return float(-(scored * log_p).sum())


def order0_bits_per_byte(
    train_ids: NDArray[np.integer], heldout_ids: NDArray[np.integer], *, vocab_size: int, n_bytes: int
) -> float:
    """Bits per byte of the held-out text under the order-0 model; `n_bytes` is its length in UTF-8."""
    return bits_per_byte(order0_nats(train_ids, heldout_ids, vocab_size=vocab_size), n_bytes)
