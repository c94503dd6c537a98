"""A table of words that grows, filled block by block and joined with others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hanmo.core.errors import DataError, FormatError
from hanmo.tokenizers.word_blocks import Block
from hanmo.tokenizers.word_ids_kernels import (
    DONE,
    GROW,
    INVALID,
    MAX_WORD_BYTES,
    add_words,
    count_words,
    rehash,
)

__all__ = ["WordTable", "merge_tables"]


class WordTable:
    """Words, their counts and first places, numbered as they come (arrays: `word_ids_kernels`)."""

    def __init__(self, n_words: int = 2**14, n_bytes: int = 2**18):
        self.slots = np.full(4 * n_words, -1, np.int32)
        self.hashes = np.zeros(n_words, np.uint64)
        self.starts = np.zeros(n_words + 1, np.int64)
        self.counts = np.zeros(n_words, np.int64)
        self.first = np.zeros(n_words, np.int64)
        self.letters = np.zeros(n_bytes, np.uint8)
        self.used = np.zeros(1, np.int64)
        self._ids = np.zeros(0, np.int32)
        self._ends = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return int(self.used[0])

    def count(self, block: Block, base: int) -> tuple[np.ndarray, np.ndarray]:
        """Count the words of a block that begins `base` bytes behind the start of all.

        Returns:
            Numbers of its words, (N,) int32; sentence ends in it, (S,) int64.

        Raises:
            DataError: for a word that is too long.
            FormatError: for a word that is not UTF-8.
        """
        data = np.frombuffer(block.data, np.uint8)
        if len(data) > len(self._ends):  # pages that are not written to take no memory
            self._ids, self._ends = np.zeros(len(data) // 2 + 1, np.int32), np.zeros(len(data), np.int64)
        done = np.zeros(3, np.int64)
        while True:
            status = count_words(data, block.kinds, base, *self._arrays(), self._ids, self._ends, done)
            if status != GROW:
                break
            self.grow(2 * len(self.hashes), 2 * len(self.letters) + MAX_WORD_BYTES)
        if status == INVALID:
            raise FormatError(
                "a word is not UTF-8 text",
                where=block.place(int(done[0])),
                remedy="Convert the file: hanmo corpus build repairs encodings, iconv -t UTF-8 converts one file.",
            )
        if status != DONE:
            raise DataError(
                f"a word of more than {MAX_WORD_BYTES:,} bytes",
                where=block.place(int(done[0])),
                remedy="Words stand between white space: segment the text first.",
            )
        return self._ids[: done[1]].copy(), self._ends[: done[2]].copy()

    def _arrays(self) -> tuple[np.ndarray, ...]:
        return self.slots, self.hashes, self.starts, self.counts, self.first, self.letters, self.used

    def grow(self, n_words: int, n_bytes: int) -> None:
        """Make room for `n_words` of together `n_bytes`."""
        self.hashes, self.counts, self.first = (_longer(a, n_words) for a in (self.hashes, self.counts, self.first))
        self.starts = _longer(self.starts, n_words + 1)
        self.letters = _longer(self.letters, n_bytes)
        while len(self.slots) < 4 * n_words:
            self.slots = np.full(2 * len(self.slots), -1, np.int32)
        self.slots[:] = -1
        rehash(self.slots, self.hashes, self.used)

    def add(self, other: WordTable) -> np.ndarray:
        """Add the words of another table; their numbers here, (V,) int32."""
        n_bytes = int(self.starts[len(self)] + other.starts[len(other)])
        self.grow(len(self) + len(other) + 1, n_bytes)
        numbers = np.zeros(len(other), np.int32)
        theirs = (other.hashes, other.starts, other.counts, other.first, other.letters, other.used)
        add_words(*theirs, *self._arrays(), numbers)
        return numbers

    def spell(self, numbers: Sequence[int] | np.ndarray) -> list[str]:
        """The words of these numbers."""
        starts, letters = self.starts, self.letters[: self.starts[len(self)]].tobytes()
        return [
            letters[low:high].decode()
            for low, high in zip(starts[numbers].tolist(), starts[np.asarray(numbers) + 1].tolist(), strict=True)
        ]


def _longer(array: np.ndarray, size: int) -> np.ndarray:
    longer = np.zeros(max(size, len(array)), array.dtype)
    longer[: len(array)] = array
    return longer


def merge_tables(tables: Sequence[WordTable]) -> tuple[WordTable, list[np.ndarray]]:
    """All words in the first table, and the new numbers of the words of each, (V,) int32."""
    first, *others = tables
    return first, [np.arange(len(first), dtype=np.int32), *(first.add(other) for other in others)]
