"""What word2vec and GloVe have in common while they learn: threads, matrices, and vectors to start from."""

from __future__ import annotations

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.machine import describe_machine
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = ["LINE", "aligned_zeros", "all_finite", "check_text", "choose_threads", "known_vectors", "padded"]

LINE = 16
"""float32 numbers of a cache line."""


def check_text(text: WordIds) -> None:
    """Refuse a text without two words.

    Raises:
        DataError: says what it has.
    """
    if len(text.words) < 2 or len(text.ids) < 2:
        raise DataError(
            f"this text has {len(text.ids)} words of {len(text.words)} kinds: too little to learn from",
            remedy="Lower min_count, or take more text.",
        )


def choose_threads(wanted: int | None) -> int:
    """So many threads, or as many as there are cores.

    Raises:
        ConfigError: if more are wanted than there are cores.
    """
    cores = describe_machine().cores
    threads = wanted or cores
    if threads > cores:
        raise ConfigError(
            f"{threads} threads are more than the {cores} cores of this machine",
            where="threads",
            remedy="Leave it out to use all cores: more threads than these only wait for each other.",
        )
    return threads


def padded(dim: int) -> int:
    """Length of a row of vectors: each begins with a cache line, and what is behind its dim stays zero."""
    return -(-dim // LINE) * LINE


def aligned_zeros(n_rows: int, dim: int) -> np.ndarray:
    """Zeros, (n_rows, padded dim) float32, aligned to cache lines."""
    width = padded(dim)
    zeros = np.zeros(n_rows * width + LINE, np.float32)
    start = -(zeros.ctypes.data // 4) % LINE
    return zeros[start : start + n_rows * width].reshape(n_rows, width)


def all_finite(*matrices: np.ndarray) -> bool:
    """Whether every number of some matrices is finite, in bounded memory."""
    return all(np.isfinite(matrix[part]).all() for matrix in matrices for part in blocks(*matrix.shape))


def known_vectors(text: WordIds, start: WordVectors, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """What vectors to start from have for the words of a text.

    Returns:
        Rows of the words that they have, (K,) int64; their vectors, (K, D) float32.

    Raises:
        ConfigError: if they have another length than `dim`.
        DataError: for a number that is not finite, which those of a mapped file may be.
    """
    if start.dim != dim:
        raise ConfigError(
            f"the vectors to start from have dim {start.dim}, and dim = {dim} is asked for",
            where="dim",
            remedy=f"Set dim = {start.dim}, or start from nothing.",
        )
    known = [(row, start.index[word]) for row, word in enumerate(text.words) if word in start]
    rows, own = np.array(known, np.int64).reshape(-1, 2).T
    vectors = start.matrix[own]
    if not all_finite(vectors):
        row = rows[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        raise DataError(f"the vector of {text.words[row]!r} to start from has a number that is not finite")
    return rows, vectors
