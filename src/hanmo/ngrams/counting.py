"""All n-grams of a text with their counts, up to an order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.interrupts import Interrupts
from hanmo.core.machine import describe_machine
from hanmo.core.progress import Bar, say
from hanmo.ngrams.counting_kernels import count_grams, count_words, enter_slots, frame

__all__ = ["Counts", "Level", "count_ngrams", "framed"]

_FIRST_SLOTS = 2**16
_STEP = 2**20
"""Positions that are counted at a time; between two, Ctrl-C is heard."""

_MOST = 2**31 - 2**21
"""Positions, and n-grams of an order: their numbers are int32."""

_MEMORY_SHARE = 0.85


@dataclass(frozen=True, eq=False)
class Level:
    """The n-grams of one order, numbered as they occur first; those of order 1 are the words."""

    keys: np.ndarray
    """Number of the (n-1)-gram without the last word, and the last word: context · 2**32 + word, (n,) uint64."""
    suffixes: np.ndarray
    """Number of the (n-1)-gram without the first word, (n,) int32."""
    counts: np.ndarray
    """How often it occurs, (n,) int32."""

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True, eq=False)
class Counts:
    """Everything that was counted."""

    levels: list[Level]
    """By order, beginning with the words."""
    share: float
    """Of the text that was counted: below 1 where Ctrl-C ended it."""


def framed(ids: np.ndarray, ends: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Sentences between their marks in one row, (N,) int32; those without words are left out (arrays: `frame`).

    Raises:
        DataError: if there are none, or too many for the numbers.
    """
    if len(ids) + 2 * len(ends) > _MOST:
        raise DataError(
            f"{len(ids):,} words are more than an n-gram model of one piece takes ({_MOST:,})",
            remedy="Train on a part of the text.",
        )
    text = np.empty(len(ids) + 2 * len(ends), np.int32)
    length = frame(ids, ends, numbers, text)
    if length < 0:
        raise DataError(f"a number is not below {len(numbers) - 1}, the size of the vocabulary")
    if length == 0:
        raise DataError("there are no words in this text", remedy="Check that it is the right file.")
    return text[:length]


def count_ngrams(
    text: np.ndarray, n_words: int, order: int, bar: Bar | None = None, *, keep_interrupted: bool = False
) -> Counts:
    """Count the n-grams of all orders up to one.

    All orders are counted side by side, each some steps of the text behind the one below, whose numbers it needs: on
    several cores in about the time of the slowest, and to the same result.

    Args:
        text: sentences between their marks, (N,) int32.
        n_words: numbers are below it.
        order: longest n-gram.
        bar: is told of the words that are done; one that is done for one order counts as much of a word.
        keep_interrupted: let Ctrl-C end it with what is counted so far.

    Raises:
        DataError: if the n-grams need more memory than there is.
    """
    ends = np.empty(len(text), np.int32)
    counts = np.zeros(n_words, np.int32)
    count_words(text, counts, ends)
    if bar is not None:
        bar.advance(len(text) / order)
    counters = [_Counter(text, ends) for _ in range(2, order + 1)]
    limits = [min(start + _STEP, len(text)) for start in range(0, len(text), _STEP)]
    end = len(text)
    pool = ThreadPoolExecutor(max(1, min(describe_machine().cores, len(counters))))
    with pool, Interrupts() if keep_interrupted else nullcontext() as interrupts:
        for wave in range(len(limits) + len(counters) - 1 if counters else 0):
            _check_memory(counters, len(text))
            # the counter k steps behind the first works on the text k steps before it: no two on the same
            busy = [(c, limits[wave - k]) for k, c in enumerate(counters) if 0 <= wave - k < len(limits)]
            for done in pool.map(lambda work: work[0].advance(work[1]), busy):
                if bar is not None:
                    bar.advance(done / order)
            if interrupts is not None and interrupts.signal_name is not None:
                end = int(counters[0].state[0])
                break
    for counter in counters:  # after Ctrl-C the longer n-grams are steps behind, also where the text was at its end
        done = counter.advance(end)
        if bar is not None:
            bar.advance(done / order)
    if end < len(text):
        say(f"Interrupted: the model is of the first {end / len(text):.0%} of the text.")
        counts[:] = 0
        count_words(text[:end], counts, ends[:end])
    levels = [Level(np.zeros(0, np.uint64), np.zeros(0, np.int32), counts)]
    while counters:
        levels.append(counters.pop(0).finish())
    return Counts(levels, end / len(text))


class _Counter:
    """The n-grams of one order, as they are counted."""

    def __init__(self, text: np.ndarray, ends: np.ndarray):
        self._text, self._ends = text, ends
        self.state = np.array([0, 0, -1], np.int64)  # `count_grams`
        self.slots = np.full(_FIRST_SLOTS, -1, np.int32)
        self._keys = np.empty(_FIRST_SLOTS // 2, np.uint64)
        self._suffixes, self._counts = (np.empty(_FIRST_SLOTS // 2, np.int32) for _ in range(2))

    def advance(self, limit: int) -> int:
        """Count up to a position; returns how many positions that were."""
        start = int(self.state[0])
        while self.state[0] < limit:
            count_grams(self._text, self._ends, self.slots, self._keys, self._suffixes, self._counts, self.state, limit)
            if self.state[0] < limit:
                self._grow(2 * len(self.slots))
        return limit - start

    def _grow(self, size: int) -> None:
        self.slots = np.zeros(0, np.int32)  # the old ones go first
        for array in (self._keys, self._suffixes, self._counts):
            array.resize(size // 2, refcheck=False)  # grows where it stands: no second copy
        self.slots = np.full(size, -1, np.int32)
        enter_slots(self.slots, self._keys, self.state[1])

    def finish(self) -> Level:
        """What was counted."""
        self.slots = np.zeros(0, np.int32)
        for array in (self._keys, self._suffixes, self._counts):
            array.resize(int(self.state[1]), refcheck=False)
        return Level(self._keys, self._suffixes, self._counts)


def _check_memory(counters: list[_Counter], n_positions: int) -> None:
    """Say that memory will not do before the system ends the process without a word."""
    there = describe_machine().memory_bytes
    # a table that is about to be doubled, and one more copy of all n-grams in the model
    growing = sum(24 * len(c.slots) for c in counters if 2 * (int(c.state[1]) + _STEP) > len(c.slots))
    needed = 8 * n_positions + sum(12 * len(c.slots) + 22 * int(c.state[1]) for c in counters) + growing
    if max((len(c.slots) for c in counters), default=0) > _MOST or (there and needed > _MEMORY_SHARE * there):
        raise DataError(
            f"counting takes more than {needed / 1e9:.1f} GB, and this machine has {there / 1e9:.1f} GB",
            remedy=f"Train with an order below {len(counters) + 1}, or on a part of the text.",
        )
