"""From the n-grams of an ARPA file, which spell all their words, to numbered ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.errors import FormatError
from hanmo.core.progress import say
from hanmo.ngrams.smoothing import Estimate

__all__ = ["Section", "make_estimates"]


@dataclass(eq=False)
class Section:
    """N-grams of one order as a file has them."""

    words: np.ndarray
    """(n, order) int32; those of order 1 are in the order of their numbers."""
    logs: np.ndarray
    """log10 p, (n,) fp64; NaN for those that the file leaves out and others need."""
    backoffs: np.ndarray
    """(n,) fp64."""
    first_line: int
    """Line of the first one."""


def make_estimates(sections: list[Section], path: Path) -> tuple[Iterator[Estimate], list[int]]:
    """The n-grams of each order by number, and how many there are of each.

    Raises:
        FormatError: if one is there twice.
    """
    if added := _close(sections):
        say(
            f"{path}: {added:,} n-grams that longer ones begin or end with are missing; what backing off gives stands in."
        )
    for n, section in enumerate(sections, 1):
        if twice := _first_twice(section.words):
            first, second = (section.first_line + place for place in twice)
            raise FormatError(f"this {n}-gram is there twice, first in line {first}", where=f"{path}:{second}")
    return _estimates(sections), [len(section.logs) for section in sections]


def _close(sections: list[Section]) -> int:
    """Add the beginning and the end of each n-gram where the file leaves them out; returns how many."""
    added = 0
    for n in range(len(sections) - 1, 1, -1):
        longer, here = sections[n], sections[n - 1]
        parts = np.concatenate([longer.words[:, :-1], longer.words[:, 1:]])
        lost = np.unique(parts[_Rows(here.words).find(parts) < 0], axis=0)
        if len(lost):
            here.words = np.concatenate([here.words, lost])
            here.logs = np.concatenate([here.logs, np.full(len(lost), np.nan)])
            here.backoffs = np.concatenate([here.backoffs, np.zeros(len(lost))])
            added += len(lost)
    return added


def _estimates(sections: list[Section]) -> Iterator[Estimate]:
    lower: Section | None = None
    rows: _Rows | None = None
    contexts = suffixes = np.zeros(len(sections[0].logs), np.int64)
    for n, section in enumerate(sections, 1):
        if lower is not None and rows is not None:
            contexts, suffixes = rows.find(section.words[:, :-1]), rows.find(section.words[:, 1:])
            lost = np.isnan(section.logs)
            section.logs[lost] = lower.backoffs[contexts[lost]] + lower.logs[suffixes[lost]]
        keys = (contexts.astype(np.uint64) << np.uint64(32)) | section.words[:, -1].astype(np.uint64)
        extended = np.zeros(len(section.logs), bool)
        rows = _Rows(section.words)
        if n < len(sections):
            extended[rows.find(sections[n].words[:, :-1])] = True
        kept = np.ones(len(section.logs), bool)
        yield Estimate(keys, suffixes.astype(np.int32), kept, 10.0**section.logs, 10.0**section.backoffs, extended)
        lower = section


class _Rows:
    """N-grams to be found by their words.

    Their hashes are sorted and searched; rows that were found are compared, so that no answer rests on a hash.
    """

    def __init__(self, words: np.ndarray):
        self._words = words
        hashes = _hash(words)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]

    def find(self, words: np.ndarray) -> np.ndarray:
        """Number of each row, -1 for those that are not there, (m,) int64."""
        if not len(self._words):
            return np.full(len(words), -1)
        places = np.searchsorted(self._hashes, _hash(words))
        numbers = self._order[np.minimum(places, len(self._order) - 1)]
        return np.where((self._words[numbers] == words).all(1), numbers, -1)


def _hash(words: np.ndarray) -> np.ndarray:
    """A hash of each row, uint64; another function of the words at each length of the row."""
    hashes = np.full(len(words), 0x9E3779B97F4A7C15, np.uint64)
    for column in words.T:
        hashes ^= column.astype(np.uint64) + np.uint64(1)
        hashes *= np.uint64(0xFF51AFD7ED558CCD)
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _first_twice(words: np.ndarray) -> tuple[int, int] | None:
    """Two rows that are equal."""
    hashes = _hash(words)
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order[1:]] == hashes[order[:-1]])
    same = same[(words[order[same]] == words[order[same + 1]]).all(1)]
    return (int(order[same[0]]), int(order[same[0] + 1])) if len(same) else None
