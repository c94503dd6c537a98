"""Words and their vectors, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hanmo.core.errors import DataError

if TYPE_CHECKING:
    from hanmo.vectors.files import Form
    from hanmo.vectors.subwords import Subwords

__all__ = ["WordVectors", "blocks"]

_BLOCK_NUMBERS = 2**22
"""Numbers looked at in one go: 16 MiB of float32."""


def blocks(n_rows: int, row_size: int) -> Iterable[slice]:
    """Slices over rows of `row_size` numbers, each small enough to be worked on in bounded memory."""
    step = max(_BLOCK_NUMBERS // max(row_size, 1), 1)
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def _is_torn(word: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in word)


class WordVectors:
    """Words with one vector each.

    Args:
        words: the words, by falling frequency where that is known; V of them, each once.
        matrix: their vectors, (V, D), any float type; kept as float32, and as it is where it is float32 (a
            memory-mapped one stays on disk).
        counts: how often each word was met, (V,).
        meta: JSON values: how the vectors were made.
        subwords: vectors of pieces of words, of which a word that is not here gets its vector.
        where: the file that they come from, for errors.
        check: look for numbers that are not finite now; if not, rows are looked at when they are used.

    Raises:
        DataError: for a wrong shape, a word that is empty or stands there twice, or a number that is not finite;
            names the word and its row, from 0.
    """

    def __init__(
        self,
        words: Sequence[str],
        matrix: np.ndarray,
        *,
        counts: np.ndarray | None = None,
        meta: Mapping[str, Any] | None = None,
        subwords: Subwords | None = None,
        where: object = None,
        check: bool = True,
    ):
        self.words = tuple(words)
        self.index = {word: row for row, word in enumerate(self.words)}
        """Row of each word."""
        self.meta = dict(meta or {})
        self.subwords = subwords
        self._where = where
        matrix = np.asanyarray(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != len(self.words) or not matrix.size:
            raise DataError(
                f"{len(self.words):,} words need a matrix of shape ({len(self.words)}, dim), got {matrix.shape}",
                where=where,
            )
        if not np.issubdtype(matrix.dtype, np.floating):
            raise DataError(f"vectors are floating-point numbers, got {matrix.dtype}", where=where)
        self.matrix = matrix.astype(np.float32, copy=False)
        """(V, D), float32."""
        self.counts = None if counts is None else np.asarray(counts, dtype=np.int64)
        """(V,), int64, or None."""
        if self.counts is not None and self.counts.shape != (len(self.words),):
            raise DataError(f"{len(self.words):,} words but counts of shape {self.counts.shape}", where=where)
        self._check_words()
        if check:
            for part in blocks(*self.matrix.shape):
                self.rows(part)

    def _check_words(self) -> None:
        if len(self.index) < len(self.words):
            row = next(row for row, word in enumerate(self.words) if self.index[word] != row)
            word = self.words[row]
            raise DataError(
                f"the word {word!r} stands there twice, in rows {row} and {self.words.index(word, row + 1)}",
                where=self._where,
            )
        try:
            "".join(self.words).encode()
        except UnicodeEncodeError as error:
            row = next(row for row, word in enumerate(self.words) if _is_torn(word))
            raise DataError(
                f"the word {self.words[row]!r} (row {row}) has half of a surrogate pair, which is no text",
                where=self._where,
            ) from error
        if "" in self.index:
            raise DataError(f"the word of row {self.index['']} is empty", where=self._where)

    def _check_rows(self, rows: np.ndarray, start: int) -> None:
        if not np.isfinite(rows).all():
            row = start + int(np.argmin(np.isfinite(rows).all(axis=1)))
            raise DataError(
                f"the vector of {self.words[row]!r} (row {row}) has a number that is not finite", where=self._where
            )

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        """Whether the word is one of `words`."""
        return word in self.index

    def has_vector(self, word: str) -> bool:
        """Whether `vectors[word]` is there: the word is one of `words`, or shares a sub-word with one."""
        if self.subwords is None or word in self.index:
            return word in self.index
        try:
            self.subwords.vector(word)
        except DataError:
            return False
        return True

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector of a word, (D,); with sub-words, of any word that shares one with a known word.

        Raises:
            DataError: if the word has none.
        """
        if self.subwords is not None and word not in self.index:
            return self.subwords.vector(word)
        vector = self.matrix[self.row(word)]
        self._check_rows(vector[None], self.index[word])
        return vector

    def __repr__(self) -> str:
        return f"WordVectors({len(self):,} words, dim {self.dim})"

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.matrix.shape[1]

    def row(self, word: str) -> int:
        """The row of a word.

        Raises:
            DataError: if the word has no vector.
        """
        try:
            return self.index[word]
        except KeyError as error:
            raise self._missing(word) from error

    def _missing(self, word: str) -> DataError:
        lower = word.lower()
        remedy = f"{lower!r} has one: words are case-sensitive." if lower in self.index else None
        return DataError(f"the word {word!r} has no vector here", where=self._where, remedy=remedy)

    def rows(self, part: slice) -> np.ndarray:
        """The vectors of some rows, (R, D) float32: those of a mapped matrix are looked at here for the first time.

        Raises:
            DataError: for a vector with a number that is not finite.
        """
        rows = self.matrix[part]
        self._check_rows(rows, part.start)
        return rows

    @cached_property
    def lengths(self) -> np.ndarray:
        """Euclidean length of each vector, (V,), float32; 1 for a vector of zeros, so that it can be divided by.

        Raises:
            DataError: for a vector with a number that is not finite.
        """
        lengths = np.empty(len(self), np.float32)
        for part in blocks(*self.matrix.shape):
            rows = self.rows(part)
            lengths[part] = np.sqrt(np.einsum("vd,vd->v", rows, rows))
        lengths[lengths == 0] = 1
        return lengths

    def save(self, path: str | Path, form: Form | None = None) -> None:
        """Write the vectors: `hanmo.vectors.files.write_vectors`."""
        from hanmo.vectors.files import write_vectors

        write_vectors(self, path, form)

    @classmethod
    def load(cls, path: str | Path, *, mmap: bool = False) -> WordVectors:
        """Read vectors of any known form: `hanmo.vectors.files.read_vectors`."""
        from hanmo.vectors.files import read_vectors

        return read_vectors(path, mmap=mmap)
