"""Paragraphs that stand in a corpus more than once (CCNet: Wenzek et al., 2020, §3.1): menus, notices, terms of use.

A paragraph is a line. Its key is a hash of its letters, with digits written as 0, without case, width, white space and
punctuation. Short lines have no key and are never removed: headings ("Chapter 1", 第一回), rules, refrains, moves of a dialogue and
lines of code are there many times for a reason. Where a paragraph is met again, the first one stays (`dedup.first`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from hanmo.corpora.dedup.letters import fold, hash_stretches
from hanmo.text.han import code_points

__all__ = ["MIN_LETTERS", "WIDE_LETTERS", "paragraph_keys", "paragraph_keys_of", "paragraph_spans"]

MIN_LETTERS = 60
"""Shortest paragraph that has a key, in letters: about twelve English words, or 30 Chinese characters. Headings of the
chapters of Chinese novels have up to 23, and the second of two equal ones often is the chapter, the first a table of contents."""
WIDE_LETTERS = 2
"""Letters that a Han, kana or hangul character counts for."""

_BATCH_CHARS = 100_000


def paragraph_spans(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each line that is not empty, without its line end; two arrays (n,), int64."""
    breaks = np.flatnonzero(code_points(text) == ord("\n"))
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(text))
    full = ends > starts
    return starts[full], ends[full]


def paragraph_keys(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paragraphs of a text that are long enough to be compared.

    Returns:
        Keys, (n,), uint64, and start and end of each in the text, (n,), int64.
    """
    starts, ends = paragraph_spans(text)
    letters = fold(text)
    digits = letters.digits
    first, last = np.searchsorted(letters.places, starts), np.searchsorted(letters.places, ends)
    sizes = np.zeros(len(digits) + 1, dtype=np.int64)
    np.cumsum(np.where(letters.wide, WIDE_LETTERS, ~digits), out=sizes[1:])
    long = sizes[last] - sizes[first] >= MIN_LETTERS
    points = np.where(digits, np.uint32(ord("0")), letters.points)
    return hash_stretches(points)(first[long], last[long]), starts[long], ends[long]


def paragraph_keys_of(texts: Iterable[str]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """As `paragraph_keys` for each text in order, in a fraction of the time where they are short."""
    held: list[str] = []
    n_chars = 0
    for text in texts:
        held.append(text)
        n_chars += len(text)
        if n_chars >= _BATCH_CHARS:
            yield from _keys_of_joined(held)
            held, n_chars = [], 0
    yield from _keys_of_joined(held)


def _keys_of_joined(texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    keys, starts, ends = paragraph_keys("\n".join(texts))
    offset = low = 0
    for text in texts:
        high = int(np.searchsorted(starts, offset + len(text) + 1))
        yield keys[low:high], starts[low:high] - offset, ends[low:high] - offset
        offset, low = offset + len(text) + 1, high
