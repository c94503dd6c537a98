"""Text to word numbers: reads, counts and numbers words in one pass over bytes, on all cores."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hanmo.core.errors import ConfigError, DataError, storage_error
from hanmo.core.machine import describe_machine
from hanmo.core.mapped import release
from hanmo.core.progress import Bar
from hanmo.tokenizers.word_blocks import Source, read_blocks
from hanmo.tokenizers.word_ids_kernels import renumber
from hanmo.tokenizers.word_table import WordTable, merge_tables

__all__ = ["WordIds", "read_word_ids"]

_MAX_THREADS = 4
"""More tables take longer to merge than they save."""

_IN_MEMORY = 2**24
"""Words whose numbers are kept in memory; those of a longer text go to a temporary file without a name, mapped."""


@dataclass(frozen=True, eq=False)
class WordIds:
    """A text as numbers of words."""

    words: tuple[str, ...]
    """The vocabulary: by falling count, words of equal count by first occurrence; or as it was given."""
    counts: np.ndarray
    """How often each word occurs, (V,) int64."""
    ids: np.ndarray
    """Sentence after sentence, (N,) int32; words outside the vocabulary are left out, or -1."""
    ends: np.ndarray
    """Position in `ids` behind the last word of each sentence, (S,) int64; an empty line is an empty sentence."""
    n_read: int
    """Words that were read, those outside the vocabulary included."""

    def restrict(self, *, min_count: int = 1, max_words: int | None = None) -> WordIds:
        """The text without its rare words; itself where there are none.

        Raises:
            ConfigError: for settings that cannot be.
            DataError: if all words are rarer than `min_count`.
        """
        _check(min_count, max_words, None)
        kept = np.flatnonzero(self.counts >= min_count)
        kept = np.sort(kept[np.argsort(-self.counts[kept], kind="stable")][:max_words])
        if not len(kept):
            raise _nothing_left(int(self.counts.max(initial=0)), min_count)
        if len(kept) == len(self.words):
            return self
        numbers = np.full(len(self.words), -1, np.int32)
        numbers[kept] = np.arange(len(kept))
        ids, ends = self.ids[self.ids >= 0], self.ends
        if len(ids) < len(self.ids):  # places of -1 are no longer kept
            ends = np.concatenate([[0], np.cumsum(self.ids >= 0)])[ends]
        new_ends = np.empty_like(ends)
        n = renumber(ids, 0, len(ids), 0, numbers, False, ends, new_ends)
        return WordIds(tuple(self.words[i] for i in kept), self.counts[kept], ids[:n], new_ends, self.n_read)


def read_word_ids(
    source: Source,
    *,
    min_count: int = 1,
    max_words: int | None = None,
    vocabulary: Sequence[str] | None = None,
    keep_unknown: bool = False,
    lowercase: bool = False,
    progress: Bar | None = None,
) -> WordIds:
    """Read a text as word numbers; the same on any number of cores.

    Memory: the distinct words, some blocks of text, and 4 bytes a word, which are in a temporary file where there are
    many.

    Args:
        source: a path (a string is one) or an iterable of `Path`s, of UTF-8 text files, also .gz, where a line is a
            sentence and ASCII white space stands between words; or an iterable of sentences, strings that are split
            likewise or lists of words that are taken as they are.
        min_count: rarer words are outside the vocabulary.
        max_words: only so many of the most frequent words are in it.
        vocabulary: number the words by this list instead.
        keep_unknown: keep the places of words outside the vocabulary as -1.
        lowercase: read all words in lower case.
        progress: is told of the words that were read.

    Raises:
        ConfigError: for settings that cannot be.
        DataError: for a source without words, or whose words are all rarer than `min_count`; a file that cannot be
            read; a word that is too long.
        FormatError: for what is not UTF-8, or a damaged .gz.
        StorageError: if there is no room for the temporary file.
    """
    _check(min_count, max_words, vocabulary)
    tables = [WordTable() for _ in range(min(describe_machine().cores, _MAX_THREADS))]
    with contextlib.closing(_Text()) as text:
        for number, (ids, ends) in _counted(source, tables):
            text.add(ids, ends, number)
            if progress is not None:
                progress.advance(len(ids))
        table, numbers = merge_tables(tables)
        words, final = _choose(table, min_count, max_words, vocabulary, lowercase)
        ids, ends = text.renumber([final[own] for own in numbers], keep_unknown)
    counts = np.zeros(len(words) + 1, np.int64)  # the last one for the words outside
    np.add.at(counts, final, table.counts[: len(table)])
    return WordIds(words, counts[:-1], ids, ends, text.n_words)


def _check(min_count: int, max_words: int | None, vocabulary: Sequence[str] | None) -> None:
    if min_count < 1:
        raise ConfigError(f"min_count must be >= 1, got {min_count}")
    if max_words is not None and max_words < 1:
        raise ConfigError(f"max_words must be >= 1, got {max_words}")
    if vocabulary is None:
        return
    if min_count > 1 or max_words is not None:
        raise ConfigError("min_count and max_words choose a vocabulary, and one is given")
    if len(set(vocabulary)) < len(vocabulary):
        word, times = Counter(vocabulary).most_common(1)[0]
        raise ConfigError(f"the word {word!r} stands {times} times in the vocabulary")


def _counted(source: Source, tables: list[WordTable]) -> Iterator[tuple[int, tuple[np.ndarray, np.ndarray]]]:
    """(number of its table, numbers and ends) of each block in order; the next ones are read meanwhile."""
    blocks, base = read_blocks(source), 0
    with ThreadPoolExecutor(len(tables)) as pool:
        running = []
        while batch := list(islice(blocks, len(tables))):
            yield from ((number, future.result()) for number, future in enumerate(running))
            running = []
            for table, block in zip(tables, batch, strict=False):
                running.append(pool.submit(table.count, block, base))
                base += len(block.data)
        yield from ((number, future.result()) for number, future in enumerate(running))


def _choose(
    table: WordTable, min_count: int, max_words: int | None, vocabulary: Sequence[str] | None, lowercase: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """The vocabulary, and the number in it of each word of the table, (C,) int32, -1 for those outside."""
    n = len(table)
    final = np.full(n, -1, np.int32)
    if vocabulary is not None:
        known = {word: number for number, word in enumerate(vocabulary)}
        for number, word in enumerate(table.spell(np.arange(n))):
            final[number] = known.get(word.lower() if lowercase else word, -1)
        return tuple(vocabulary), final
    group, counts, first = np.arange(n), table.counts[:n], table.first[:n]
    forms: list[str] = []
    if lowercase:
        numbers: dict[str, int] = {}
        lower = [word.lower() for word in table.spell(group)]
        group = np.array([numbers.setdefault(word, len(numbers)) for word in lower], np.int64)
        forms = list(numbers)
        counts, first = np.zeros(len(forms), np.int64), np.full(len(forms), np.iinfo(np.int64).max)
        np.add.at(counts, group, table.counts[:n])
        np.minimum.at(first, group, table.first[:n])
    order = np.lexsort((first, -counts))
    chosen = order[: int((counts >= min_count).sum())][:max_words]
    if not len(chosen):
        raise _nothing_left(int(counts.max(initial=0)), min_count)
    rank = np.full(len(counts), -1, np.int32)
    rank[chosen] = np.arange(len(chosen))
    words = [forms[number] for number in chosen] if lowercase else table.spell(chosen)
    return tuple(words), rank[group]


def _nothing_left(highest: int, min_count: int) -> DataError:
    if highest == 0:
        return DataError("there are no words in this text", remedy="Check that it is the right file.")
    return DataError(
        f"no word occurs {min_count} times (min_count); the most frequent one occurs {highest} times",
        remedy=f"Lower min_count to {highest} or below, or take more text.",
    )


class _Text:
    """Numbers of words as they are read, by the tables of their blocks, until the vocabulary is known."""

    def __init__(self) -> None:
        self.n_words = 0
        self._parts: list[np.ndarray] = []
        self._blocks: list[tuple[int, int, np.ndarray]] = []  # words so far, number of its table, ends in it
        self._file = None

    def add(self, ids: np.ndarray, ends: np.ndarray, table: int) -> None:
        self._blocks.append((self.n_words, table, ends))
        self.n_words += len(ids)
        self._parts.append(ids)
        if self._file is not None or self.n_words > _IN_MEMORY:
            self._spill()

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by close)
            for part in self._parts:
                left = part.data.cast("B")
                while len(left):  # a full disk takes a part first
                    left = left[self._file.write(left) :]
        except OSError as error:
            raise storage_error(error, tempfile.gettempdir()) from error
        self._parts = []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def renumber(self, numbers: list[np.ndarray], keep_unknown: bool) -> tuple[np.ndarray, np.ndarray]:
        """All ids and all ends, by the final number of each word of each table."""
        if self._file is not None:
            ids = np.memmap(self._file, np.int32, "r+", shape=(self.n_words,))  # outlives the file, which has no name
        else:
            ids = np.concatenate(self._parts) if self._parts else np.zeros(0, np.int32)
        self._parts = []
        ends = np.zeros(sum(len(own) for _, _, own in self._blocks), np.int64)
        out = n_ends = 0
        highs = [low for low, _, _ in self._blocks[1:]] + [self.n_words]
        for (low, table, own), high in zip(self._blocks, highs, strict=True):
            out = renumber(ids, low, high, out, numbers[table], keep_unknown, own, ends[n_ends : n_ends + len(own)])
            release(ids, 0, high)
            n_ends += len(own)
        return ids[:out], ends
