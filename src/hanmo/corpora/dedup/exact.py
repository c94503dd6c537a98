"""Exact duplicates: of the documents with one key, the first stays."""

from __future__ import annotations

import numpy as np

__all__ = ["find_copies"]


def find_copies(keys: np.ndarray) -> np.ndarray:
    """Which documents were there before, (n,), bool.

    Args:
        keys: the first 128 bits of the hash of each document, (n, 2), uint64, in the order of the documents. Among
            10⁹ documents two that differ share them with a probability of 10⁻²¹.
    """
    order = np.lexsort((np.arange(len(keys)), keys[:, 1], keys[:, 0]))
    same = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
    copies = np.zeros(len(keys), dtype=bool)
    copies[order[1:][same]] = True
    return copies
