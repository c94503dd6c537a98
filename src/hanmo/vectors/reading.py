"""What the readers of vector files share: bytes in blocks, also from .gz, and rows gathered until they can be judged."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from hanmo.core.errors import FormatError
from hanmo.core.files import open_unpacked
from hanmo.core.progress import say
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = ["BLOCK_BYTES", "Gathered", "open_bytes"]

BLOCK_BYTES = 32 * 2**20
"""Bytes read at a time."""
_SAID = 5
"""Bad rows that are named when they are skipped."""


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], float]]]:
    """Open a file, or a .gz file as what is in it; also a function that tells the megabytes of the file read so far.

    Raises:
        DataError: if it is not there or cannot be read.
        FormatError: if it is a damaged .gz, or only its name says that it is one.
    """
    with open_unpacked(path) as stream:
        raw: Any = stream.fileobj if isinstance(stream, gzip.GzipFile) else stream
        yield stream, lambda: raw.tell() / 1e6


class Gathered:
    """Rows of a file as they are read.

    Args:
        path: the file, for errors.
        dim: numbers in a row.
        place: writes where a row is, from the number that was given with it.
        skip_bad: leave bad rows out and say how many, instead of raising an error.
    """

    def __init__(self, path: Path, dim: int, place: Callable[[int], str], *, skip_bad: bool):
        self._path, self._place, self._skip_bad = path, place, skip_bad
        self._matrix = np.empty((0, dim), np.float32)
        self._words: list[str] = []
        self._numbers: list[int] = []
        self._bad: set[int] = set()
        self._n_skipped = 0

    def __len__(self) -> int:
        """Rows so far, bad ones included."""
        return len(self._words) + self._n_skipped

    def room(self, n: int) -> np.ndarray:
        """Rows for `n` more vectors, (n, D); `add` takes the first of them up."""
        used = len(self._words)
        if used + n > len(self._matrix):
            self._matrix.resize((used + n, self._matrix.shape[1]), refcheck=False)
        return self._matrix[used : used + n]

    def add(self, words: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Take up the words of the first rows of `room`, and the number of each for `place`."""
        start = len(self._words)
        self._numbers += numbers
        try:
            self._words += [word.decode() for word in words]
            return
        except UnicodeDecodeError:
            del self._words[start:]  # one by one, to find it
        for row, word in enumerate(words, start):
            self._words.append(word.decode(errors="replace"))
            try:
                word.decode()
            except UnicodeDecodeError:
                self._refuse(row, f"the word {self._words[row]!r} is not UTF-8")

    def skip(self, what: str, number: int, remedy: str | None = None) -> None:
        """A row that could not be read at all.

        Raises:
            FormatError: unless bad rows are left out.
        """
        if not self._skip_bad:
            raise FormatError(what, where=self._place(number), remedy=remedy)
        self._tell(what, number)
        self._n_skipped += 1

    def finish(self) -> WordVectors:
        """The vectors, each word once and every number finite.

        Raises:
            FormatError: for a bad row, with its place, or if there is no good one.
        """
        self._matrix.resize((len(self._words), self._matrix.shape[1]), refcheck=False)
        first: dict[str, int] = {}
        for row, word in enumerate(self._words):
            if first.setdefault(word, row) != row and row not in self._bad:
                self._refuse(row, f"the word {word!r} stands there a second time, first in {self._row(first[word])}")
        for part in blocks(*self._matrix.shape):
            for i in np.flatnonzero(~np.isfinite(self._matrix[part]).all(axis=1)).tolist():
                row = part.start + i
                if row not in self._bad:
                    self._refuse(row, f"the vector of {self._words[row]!r} has a number that is not finite")
        if "" in first and first[""] not in self._bad:
            self._refuse(first[""], "a word is empty")
        matrix, words = self._matrix, self._words
        if self._bad:
            kept = np.ones(len(words), bool)
            kept[list(self._bad)] = False
            matrix = matrix[kept]
            words = [word for row, word in enumerate(words) if kept[row]]
        if n_bad := self._n_skipped + len(self._bad):
            say(f"{self._path}: {n_bad:,} bad rows left out")
        if not words:
            raise FormatError("there is no vector in this file", where=self._path)
        return WordVectors(words, matrix, where=self._path, check=False)

    def _row(self, row: int) -> str:
        return self._place(self._numbers[row]).removeprefix(f"{self._path}:")

    def _refuse(self, row: int, what: str) -> None:
        number = self._numbers[row]
        if not self._skip_bad:
            raise FormatError(what, where=self._place(number), remedy="Correct it, or leave bad rows out (skip_bad).")
        self._tell(what, number)
        self._bad.add(row)

    def _tell(self, what: str, number: int) -> None:
        if self._n_skipped + len(self._bad) < _SAID:
            say(f"left out: {self._place(number)}: {what}")
