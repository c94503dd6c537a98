"""Repetition, as Gopher filters it (Rae et al., 2021, appendix A.1.1, table A1).

Lines and paragraphs count as duplicates where they stood earlier in the text, and so do n-grams: a character is in a duplicate
n-gram if it is in one that stood earlier, however many of them it is in. Table A1 gives n-grams of words; Chinese has n-grams
of characters, of the lengths that so many words have, with the same bounds.

A text has few n-grams more than once, and those of n words have shorter ones in them. So the frequent ones are looked for among
the shortest, and longer ones only where these do not rule them out; and most texts are passed before by
`quality.few_ngrams_twice`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hanmo.corpora.dedup.letters import hash_stretches
from hanmo.corpora.quality.characters import CHARS_PER_WORD
from hanmo.corpora.quality.few_ngrams_twice import (
    MAX_DUPLICATE_NGRAMS,
    MAX_TOP_NGRAM,
    MIN_TOP_COUNT,
    has_few_ngrams_twice,
)
from hanmo.corpora.quality.page import Page

__all__ = ["repetition_problem"]

MAX_DUPLICATE_LINES = 0.30
"""Largest share of lines that stood earlier; the same for paragraphs."""
MAX_DUPLICATE_LINE_CHARACTERS = 0.20
"""Largest share of characters in such lines; the same for paragraphs."""


def repetition_problem(page: Page) -> str | None:
    """Say in which way a text repeats itself too much, or None."""
    lines = page.lines
    if _are_duplicate(lines, page.n_line_characters):
        return "duplicate lines (gopher_repetition)"
    if "\n\n" in page.text:
        paragraphs = [paragraph for paragraph in map(str.strip, page.text.split("\n\n")) if paragraph]
        if _are_duplicate(paragraphs, sum(map(len, paragraphs))):
            return "duplicate paragraphs (gopher_repetition)"
    if has_few_ngrams_twice(page):
        return None
    ngrams = _Ngrams(page)
    if ngrams.top_is_frequent():
        return "one n-gram over and over (gopher_repetition)"
    return "duplicate n-grams (gopher_repetition)" if ngrams.repeat() else None


def _are_duplicate(pieces: Sequence[str], n_characters: int) -> bool:
    if len(set(pieces)) == len(pieces):
        return False
    n_pieces = n_repeated = 0
    for piece, count in Counter(pieces).items():
        n_pieces += count - 1
        n_repeated += len(piece) * (count - 1)
    return n_pieces > MAX_DUPLICATE_LINES * len(pieces) or n_repeated > MAX_DUPLICATE_LINE_CHARACTERS * n_characters


class _Ngrams:
    """The n-grams of a text, of words or of Chinese characters."""

    def __init__(self, page: Page):
        letters = page.letters
        self._scale = CHARS_PER_WORD if page.is_spaceless else 1.0
        self._hashes = hash_stretches(letters.points)
        self._starts = letters.words
        self._ends = np.append(self._starts[1:], len(letters.points))
        self._n_letters = len(letters.points)

    def _places(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Where each n-gram of `n` words begins and ends, in letters."""
        width = round(n * self._scale)
        return self._starts[: max(len(self._starts) - width + 1, 0)], self._ends[width - 1 :]

    def top_is_frequent(self) -> bool:
        most = self._n_letters
        for n, share in MAX_TOP_NGRAM.items():
            starts, ends = self._places(n)
            if not len(starts):
                return False
            lengths, bound = ends - starts, share * self._n_letters
            if most * int(lengths.max()) <= bound:
                continue  # a longer n-gram is no more frequent than those in it
            hashes = self._hashes(starts, ends)
            ordered = np.sort(hashes)
            firsts = np.concatenate([[0], (ordered[1:] != ordered[:-1]).nonzero()[0] + 1, [len(ordered)]])
            counts = firsts[1:] - firsts[:-1]
            most = int(counts.max())
            if most < MIN_TOP_COUNT:
                return False
            if most * int(lengths.max()) > bound:
                _, places = _find(ordered[firsts[:-1][counts == most]], hashes)
                if most * int(lengths[places].max()) > bound:
                    return True
        return False

    def repeat(self) -> bool:
        least = min(MAX_DUPLICATE_NGRAMS.values()) * self._n_letters
        for n, share in MAX_DUPLICATE_NGRAMS.items():
            starts, ends = self._places(n)
            later = _later(self._hashes(starts, ends))
            covered = _union(starts[later], ends[later])
            if covered > share * self._n_letters:
                return True
            if covered <= least:
                return False  # what is in longer ones is in these as well
        return False


def _later(hashes: np.ndarray) -> np.ndarray:
    """Places of the values that stood earlier, ascending."""
    ordered = np.sort(hashes)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(repeated):
        return repeated.astype(np.int64)
    repeated = repeated[np.concatenate([[True], repeated[1:] != repeated[:-1]])]
    at, places = _find(repeated, hashes)
    _, firsts = np.unique(at, return_index=True)
    return np.delete(places, firsts)


def _find(wanted: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which hashes are among ascending wanted ones: the place of each in those, and its own, ascending."""
    at = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
    places = np.flatnonzero(wanted[at] == hashes)
    return at[places], places


def _union(starts: np.ndarray, ends: np.ndarray) -> int:
    """Length of the union of stretches whose starts and ends ascend."""
    if not len(starts):
        return 0
    overlap = np.maximum(ends[:-1] - starts[1:], 0)
    return int((ends - starts).sum() - overlap.sum())
