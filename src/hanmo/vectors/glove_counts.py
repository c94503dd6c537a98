"""Counts which words stand near which (Pennington et al., 2014, §3) and lays them out for training, in bounded memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.mapped import release
from hanmo.core.progress import progress
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.glove_counts_kernels import count_rows, index_places
from hanmo.vectors.glove_kernels import RECORD, arrange
from hanmo.vectors.glove_records import Records
from hanmo.vectors.glove_settings import GloveSettings

__all__ = ["Tiles", "count_tiles", "distance_units", "word_blocks"]

_TILE_BYTES = 2**20
"""Vectors and sums of squares of a tile, of words and of contexts: about what the second cache of a core holds."""
_LEAST_BLOCKS = 64
"""Blocks that hold about the same number of co-occurrences, so that several threads have tiles of their own."""
_MOST_BLOCKS = 1024
"""Tiles are the square of it."""
_TABLES_SHARE = 4
"""Tables of tiles, whose number is the square of the blocks, may take one part in so many of the memory."""
_TILE_ENTRIES = 16
"""Bytes of these for a tile: where it begins and how large it is."""
_MAX_UNITS = 2**31
_MAX_THREADS = 6
"""Each has buffers of its own, a sixteenth of the memory."""


@dataclass(frozen=True)
class Tiles:
    """The matrix of co-occurrences, cut into blocks of rows by blocks of columns."""

    bounds: np.ndarray
    """Where each block of words begins, and the end, (B + 1,) int64."""
    starts: np.ndarray
    """Where in `records` each tile begins, and where its row of tiles ends, (B, B + 1) int64."""
    records: np.ndarray
    """Co-occurrences, tile after tile, (n,) `RECORD`; mapped where they are many."""


def distance_units(window: int) -> tuple[np.ndarray, int]:
    """What a word at distance d counts, in whole numbers, (window + 1,) int64, and how many of these are 1.

    Sums of whole numbers do not depend on their order. 1/d is exact for windows up to 22, beyond that within 2**-32.
    """
    one = min(math.lcm(*range(1, window + 1)), _MAX_UNITS)
    return np.array([0] + [round(one / d) for d in range(1, window + 1)], np.int64), one


def word_blocks(most: np.ndarray, padded_dim: int, memory: int) -> np.ndarray:
    """Where each block of words begins, and the end, (B + 1,) int64.

    Args:
        most: co-occurrences of each word, at most, (V,) int64.
        padded_dim: length of a row of vectors.
        memory: bytes for counting and for co-occurrences.

    Raises:
        ConfigError: if so little memory makes so many blocks that the tables of their tiles take too much of it; names
            the least that is enough.
    """
    bounds = _cut(most, padded_dim, memory)
    if bounds is not None:
        return bounds
    too_little, enough = memory >> 20, (memory >> 20) * 2
    while _cut(most, padded_dim, enough << 20) is None:
        too_little, enough = enough, 2 * enough
    while enough - too_little > 1:
        middle = (too_little + enough) // 2
        if _cut(most, padded_dim, middle << 20) is None:
            too_little = middle
        else:
            enough = middle
    raise ConfigError(
        f"memory = {memory} is too little for the co-occurrences of this text",
        where="memory",
        remedy=f"Set memory = {enough << 20} or more.",
    )


def _cut(most: np.ndarray, padded_dim: int, memory: int) -> np.ndarray | None:
    """The blocks; None if they are too many for the memory."""
    n_words = len(most)
    most_blocks = math.isqrt(memory // (_TABLES_SHARE * _TILE_ENTRIES))
    # two sets of vectors and of squares; numbers of rows and columns have 16 bits
    most_words = max(_TILE_BYTES // (16 * padded_dim), 16, -(-n_words // (_MOST_BLOCKS - _LEAST_BLOCKS)))
    most_records = min(int(most.sum()) // _LEAST_BLOCKS, memory // 512)
    up_to = np.cumsum(most)
    bounds = [0]
    while bounds[-1] < n_words:
        first = bounds[-1]
        full = int(np.searchsorted(up_to, up_to[first] - most[first] + most_records, side="right"))
        bounds.append(min(max(full, first + 1), first + most_words, n_words))
        if len(bounds) - 1 > most_blocks:
            return None
    return np.array(bounds, np.int64)


def count_tiles(text: WordIds, settings: GloveSettings, padded_dim: int, threads: int) -> Tiles:
    """Count all co-occurrences of a text: the same on any number of threads, and whether they fit the memory or not.

    Raises:
        ConfigError: if the memory is too little for this text; names how much is enough.
        DataError: if no two words stand near each other.
        StorageError: if there is no room for the temporary file.
    """
    threads = min(threads, _MAX_THREADS)
    counting = _Counting(text, settings, padded_dim)
    n_words = int(text.counts.sum())
    with (
        counting.records,
        ThreadPoolExecutor(threads) as pool,
        progress("Count co-occurrences", n_words, "words") as bar,
    ):
        running = {pool.submit(counting.count, *part) for part in counting.parts(threads)}
        shown = 0
        try:
            while running:
                done, running = wait(running, 0.1, FIRST_COMPLETED)
                for future in done:
                    future.result()
                bar.advance(counting.n_words - shown)
                shown = counting.n_words
        except BaseException:
            counting.stopped = True
            raise
        records = counting.records.open()
    if not len(records):
        raise DataError(
            "no two words of this text stand near each other: there is nothing to learn from",
            remedy="Give it sentences of several words, or lower min_count.",
        )
    return Tiles(counting.bounds, counting.starts, records)


class _Counting:
    """Blocks of words, counted by threads."""

    def __init__(self, text: WordIds, settings: GloveSettings, padded_dim: int):
        self.text, self.settings = text, settings
        self.left = 0 if settings.sides == "right" else settings.window
        self.right = 0 if settings.sides == "left" else settings.window
        self.units, self.one = distance_units(settings.window)
        self.most = np.minimum(text.counts * (self.left + self.right), len(text.words))
        self.bounds = word_blocks(self.most, padded_dim, settings.memory)
        self.n_blocks = len(self.bounds) - 1
        self.block_of = np.repeat(np.arange(self.n_blocks, dtype=np.int32), np.diff(self.bounds))
        self.starts = np.zeros((self.n_blocks, self.n_blocks + 1), np.int64)
        self.records = Records(settings.memory // 2)
        self.n_words = 0
        self.stopped = False
        self._lock = threading.Lock()

    def parts(self, threads: int) -> Iterator[tuple[int, int]]:
        """First block and behind the last of what is indexed together: some parts for each thread, none too large."""
        sizes = np.add.reduceat(self.text.counts, self.bounds[:-1])
        most = min(int(sizes.sum()) // (4 * threads) + 1, self.settings.memory // (64 * threads))
        first, held = 0, 0
        for block in range(self.n_blocks):
            if block > first and held + sizes[block] > most:
                yield first, block
                first, held = block, 0
            held += int(sizes[block])
        yield first, self.n_blocks

    def count(self, first: int, last: int) -> None:
        """Count blocks of words, from the first to before the last, and keep their co-occurrences.

        Where one thread fails the others have nothing more to do: each part would go through the whole text.
        """
        if self.stopped:
            return
        try:
            self._count(first, last)
        except BaseException:
            self.stopped = True
            raise

    def _count(self, first: int, last: int) -> None:
        text, settings, bounds = self.text, self.settings, self.bounds
        counts = text.counts[bounds[first] : bounds[last]]
        behind = np.cumsum(counts) - counts
        places = np.empty(int(counts.sum()), np.int64)
        index_places(text.ids, text.ends, bounds[first], bounds[last], self.left, self.right, behind, places)
        sums, met = np.zeros(len(text.words), np.int64), np.empty(len(text.words) + 1, np.int32)
        low = 0
        for block in range(first, last):
            if self.stopped:
                return
            own = behind[bounds[block] - bounds[first] : bounds[block + 1] - bounds[first]]
            most = int(self.most[bounds[block] : bounds[block + 1]].sum())
            rows, columns, values = np.empty(most, np.uint16), np.empty(most, np.int32), np.empty(most, np.int64)
            n = count_rows(text.ids, places, low, own, self.units, sums, met, rows, columns, values)
            records = np.empty(n, RECORD)
            draws = np.random.default_rng([settings.seed, block]).integers(2**32, size=n, dtype=np.uint32)
            counted = (rows[:n], columns[:n], values[:n], self.one)
            tiles = (bounds, self.block_of, settings.x_max, settings.alpha, draws)
            arrange(*counted, *tiles, self.starts[block], records)
            self.starts[block] += self.records.add(records)
            with self._lock:
                self.n_words += int(own[-1]) - low
            low = int(own[-1])
        release(text.ids)
