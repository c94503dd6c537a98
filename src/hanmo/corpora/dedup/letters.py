"""The letters of a text, without case, width, white space and punctuation, and hashes of stretches of them.

Two texts that a reader would call the same differ in such things: one was set in full-width forms, another was wrapped at
80 columns. What is compared below the level of documents is therefore the sequence of letters and digits, each with its place
in the text. The fold is NFKC and case folding character by character: it leaves combining sequences as they are, so texts are
expected in NFC, as `hanmo.text.repair` leaves them.

Stretches are compared by their hashes (`dedup.stretch_hashes`).
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from hanmo.corpora.dedup.stretch_hashes import StretchHashes
from hanmo.text.han import code_points

__all__ = ["Letters", "fold", "fold_words", "hash_stretches"]

_BASE = 0xD6E8FEB86659FD93
_WIDE = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_FOLDED = (range(0x20000), range(0x2F800, 0x2FA20))
"""Where the fold changes or drops anything; what lies beyond is Han, or no letter."""
_SEVERAL = 0x200000
"""Added to the row of a character that becomes several letters, as `ﬁ` does."""


@dataclass(frozen=True, slots=True)
class Letters:
    """The letters and digits of a text."""

    points: np.ndarray
    """Code points, folded, (n,), uint32."""
    places: np.ndarray
    """Position in the text of the character that each came from, (n,), int64, ascending."""

    @property
    def wide(self) -> np.ndarray:
        """Which are Han, kana or hangul: a word, or most of one, by themselves; (n,), bool."""
        return _tables()[2][self.points]

    @property
    def words(self) -> np.ndarray:
        """Letters with which a word begins, in order, (k,), int64: every wide one, and the first of a run of others."""
        wide = self.wide
        begins = np.ones(len(wide), dtype=bool)
        begins[1:] = wide[1:] | wide[:-1] | (np.diff(self.places) > 1)
        return np.flatnonzero(begins)

    @property
    def digits(self) -> np.ndarray:
        """Which are the digits 0 to 9, full-width ones among them; (n,), bool."""
        return (self.points >= 0x30) & (self.points <= 0x39)


@cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every code point the folded one (0: dropped), rows of those that become several, and whether it is wide."""
    folded = np.arange(sys.maxunicode + 1, dtype=np.uint32)
    rows: list[list[int]] = []
    for point in (point for block in _FOLDED for point in block):
        char = chr(point)
        parts = [ord(part) for part in unicodedata.normalize("NFKC", char).casefold() if part.isalnum()]
        if len(parts) > 1:
            rows.append(parts)
        folded[point] = 0 if not parts else parts[0] if len(parts) == 1 else _SEVERAL + len(rows) - 1
    folded[0x40000:] = 0
    several = np.zeros((len(rows), max(map(len, rows))), dtype=np.uint32)
    for row, parts in zip(several, rows, strict=True):
        row[: len(parts)] = parts
    wide = np.zeros(sys.maxunicode + 1, dtype=bool)
    for first, last in _WIDE:
        wide[first : last + 1] = True
    return folded, several, wide


def fold(text: str) -> Letters:
    """The letters of a text; linear, a few nanoseconds per character."""
    folded, several, _ = _tables()
    points = folded[code_points(text)]
    places = np.flatnonzero(points)
    points = points[places]
    if text.isascii() or not (is_several := points >= _SEVERAL).any():
        return Letters(points, places)
    rows = several[points[is_several] - _SEVERAL]
    lengths = np.ones(len(points), dtype=np.int64)
    lengths[is_several] = np.count_nonzero(rows, axis=1)
    points, places = np.repeat(points, lengths), np.repeat(places, lengths)
    points[points >= _SEVERAL] = rows[rows > 0]
    return Letters(points, places)


class _FoldedLetters(dict[int, str]):
    """What each code point becomes: letters, or a space where it is dropped. Found when first asked for."""

    def __missing__(self, point: int) -> str:
        folded, several, _ = _tables()
        to = int(folded[point])
        found = (
            " " if to == 0 else chr(to) if to < _SEVERAL else "".join(map(chr, filter(None, several[to - _SEVERAL])))
        )
        self[point] = found
        return found


_folded_letters = _FoldedLetters()


def fold_words(text: str) -> list[str]:
    """The letters of a brief text, in runs of those between which nothing was dropped: `fold` without arrays.

    Such a run is a word where it holds no wide letter.
    """
    return text.translate(_folded_letters).split()


def hash_stretches(points: np.ndarray) -> StretchHashes:
    """Hashes of stretches of letters, (n,), uint32, that compare with those of other texts."""
    return StretchHashes(points, _BASE)
