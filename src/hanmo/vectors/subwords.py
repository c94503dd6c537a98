"""Vectors of pieces of words, of which words that were never seen are made (Bojanowski et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import read_json, write_json
from hanmo.vectors.word2vec_settings import SubwordSettings

__all__ = ["Subwords", "find_pieces", "read_subwords", "write_subwords"]

_MATRIX, _SETTINGS = "subwords.safetensors", "subwords.json"


@compiled()
def _hash_pieces(
    letters: np.ndarray,
    starts: np.ndarray,
    shortest: int,
    longest: int,
    buckets: int,
    ends: np.ndarray,
    out: np.ndarray,
) -> int:
    """Hash every piece of every word, FNV-1a in 32 bits.

    Args:
        letters: words in UTF-8, each between < and >, (B,) uint8.
        starts: where each word begins, (V + 1,) int64.
        shortest: characters.
        longest: characters.
        buckets: hashes are taken modulo this.
        ends: receives the number of pieces up to the end of each word, (V,) int64.
        out: receives the hashes, (P,) int32; where it is empty they are only counted.

    Returns:
        The number of pieces.
    """
    n = 0
    for word in range(len(starts) - 1):
        low, high = starts[word], starts[word + 1]
        for i in range(low, high):
            if letters[i] & 0xC0 == 0x80:
                continue  # inside a character
            hash_, n_chars, j = np.uint32(2166136261), 0, i
            while j < high and n_chars < longest:
                hash_ = np.uint32((hash_ ^ np.uint32(letters[j])) * np.uint32(16777619))
                j += 1
                if j < high and letters[j] & 0xC0 == 0x80:
                    continue
                n_chars += 1
                whole = i == low and j == high  # that is what the word's own vector is for
                mark = n_chars == 1 and (i == low or j == high)
                if n_chars >= shortest and not whole and not mark:
                    if len(out):
                        out[n] = np.int32(hash_ % np.uint32(buckets))
                    n += 1
        ends[word] = n
    return n


def find_pieces(words: Sequence[str], settings: SubwordSettings) -> tuple[np.ndarray, np.ndarray]:
    """The pieces of each word.

    Returns:
        Where those of each word begin, (V + 1,) int64; their hashes, (P,) int32.
    """
    marked = [f"<{word}>".encode() for word in words]
    letters = np.frombuffer(b"".join(marked), np.uint8)
    starts = np.concatenate([[0], np.cumsum([len(word) for word in marked])]).astype(np.int64)
    ends = np.zeros(len(words), np.int64)
    limits = (settings.min_chars, settings.max_chars, settings.buckets)
    n = _hash_pieces(letters, starts, *limits, ends, np.zeros(0, np.int32))
    hashes = np.zeros(n, np.int32)
    if n:
        _hash_pieces(letters, starts, *limits, ends, hashes)
    return np.concatenate([[0], ends]), hashes


class Subwords:
    """Vectors of pieces.

    Args:
        settings: how words are cut.
        buckets: hashes of the pieces that have a vector, rising, (P,) int32.
        matrix: their vectors, (P, D) float32.
    """

    def __init__(self, settings: SubwordSettings, buckets: np.ndarray, matrix: np.ndarray):
        self.settings, self.buckets, self.matrix = settings, buckets, matrix

    def vector(self, word: str) -> np.ndarray:
        """The mean of the vectors of the word's pieces, (D,).

        Raises:
            DataError: if it shares no piece with the words that were learnt from.
        """
        _, hashes = find_pieces([word], self.settings)
        rows = self.rows(hashes)
        if not (rows >= 0).any():
            raise DataError(f"the word {word!r} has no vector, and none of its pieces has")
        return self.matrix[rows[rows >= 0]].mean(axis=0)

    def rows(self, hashes: np.ndarray) -> np.ndarray:
        """The row of each piece, (n,) int64; -1 for one without a vector."""
        rows = np.searchsorted(self.buckets, hashes)
        known = rows < len(self.buckets)
        known[known] = self.buckets[rows[known]] == hashes[known]
        return np.where(known, rows, -1)


def write_subwords(subwords: Subwords, folder: Path) -> None:
    """Write subwords.safetensors and subwords.json into a folder that the caller makes.

    Raises:
        DataError: for a number that is not finite.
    """
    from safetensors.numpy import save_file

    if not np.isfinite(subwords.matrix).all():
        raise DataError("the vector of a sub-word has a number that is not finite")
    tensors = {"buckets": subwords.buckets, "vectors": np.ascontiguousarray(subwords.matrix)}
    save_file(tensors, folder / _MATRIX)
    write_json(folder / _SETTINGS, subwords.settings.model_dump(mode="json"))


def read_subwords(folder: Path, dim: int) -> Subwords | None:
    """What `write_subwords` wrote; None where there is nothing of it.

    Raises:
        FormatError: if it is damaged, or its vectors have another length than `dim`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not (folder / _SETTINGS).exists():
        return None
    try:
        settings = SubwordSettings.model_validate(read_json(folder / _SETTINGS))
        tensors = load_file(folder / _MATRIX)
        buckets, matrix = tensors["buckets"], tensors["vectors"]
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise FormatError(f"the vectors of sub-words are damaged ({error})", where=folder / _MATRIX) from error
    fits = buckets.dtype == np.int32 and matrix.dtype == np.float32 and matrix.shape == (len(buckets), dim)
    if not fits or (len(buckets) and not np.all(buckets[1:] > buckets[:-1])) or not np.isfinite(matrix).all():
        raise FormatError(f"these are not vectors of sub-words of length {dim}", where=folder / _MATRIX)
    return Subwords(settings, buckets, matrix)
