"""Exact repeats of any long stretch, whatever it stands in: quotations, boilerplate inside a paragraph, copied passages.

What is removed: every stretch of at least `MIN_LETTERS` letters that stood earlier in the corpus or in the same text, as
Lee et al. (2022, §4.1) do with 50 tokens. They sort all suffixes of the corpus; here a stretch is found by its hash, and
winnowing (Schleimer, Wilkerson & Aiken, 2003) says where it is worth looking:

1. `fingerprints` of every text: of each `WINDOW` neighbouring hashes of `WIDTH` letters the smallest one. Two stretches of `WIDTH` +
   `WINDOW` − 1 equal letters have one in common, at the same letter. About one letter in `WINDOW` / 2 is the start of one.
2. Those that stand more than once in the corpus are marked (`first.repeated`).
3. `stretch_keys` of every text: the hash of each shortest stretch that is long enough, and has a marked fingerprint in it.
4. Those that stood earlier are marked (`first.later_occurrences`).
5. `stretch_spans` of every text: the marked stretches, joined where they overlap, as places in the text.

Only keys and places go from one step to the next, so the steps run part by part and, for 2 and 4, bucket by bucket of keys.
No two texts are compared, no step is more than linear (but for the sorting of keys), and every stretch that is repeated
is found. The price is that two different stretches with the same 64-bit hash would be taken for one: with n stretches
at step 3, n²/2^65 such pairs are to be expected, 0.03 for a thousand million.

Each letter that goes is still there in an earlier place. Program code is not meant: its punctuation is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hanmo.corpora.dedup.first import later_occurrences, over_parts, repeated
from hanmo.corpora.dedup.letters import Letters, fold, hash_stretches

__all__ = [
    "MIN_LETTERS",
    "WIDE_LETTERS",
    "WIDTH",
    "WINDOW",
    "fingerprints",
    "repeated_spans",
    "stretch_keys",
    "stretch_spans",
]

MIN_LETTERS = 200
"""Shortest stretch that counts, in letters and digits: about 39 English words, which are 50 tokens of GPT-2."""
WIDE_LETTERS = 2
"""Letters that a Han, kana or hangul character counts for, so that 100 of them are a stretch: three sentences. They say
what 290 English letters say: classical lines, titles of laws and set phrases are quoted in full more often in Chinese."""
WIDTH = 50
"""Letters in a fingerprint."""
WINDOW = MIN_LETTERS // WIDE_LETTERS - WIDTH + 1
"""Neighbouring hashes of which the smallest is a fingerprint: the shortest stretch there is has one window."""

_OPENING = "([{（【《〈「『“‘"
_CLOSING = re.compile(r"""[.,;:!?…。，；：！？、)\]}）】》〉」』”’"']*""")


def fingerprints(text: str) -> tuple[np.ndarray, np.ndarray]:
    """The fingerprints of a text.

    Returns:
        Keys, (n,), uint64, and the letter that each begins with, counted in letters of the text, (n,), int64.
    """
    hashes = hash_stretches(fold(text).points).of_width(WIDTH)
    if len(hashes) < WINDOW:
        return hashes[:0], np.zeros(0, dtype=np.int64)
    smallest = _sliding(np.minimum, hashes)
    # A hash is the smallest of one of its windows where the largest of their minima is the hash itself.
    edge = np.zeros(WINDOW - 1, dtype=np.uint64)
    places = np.flatnonzero(_sliding(np.maximum, np.concatenate([edge, smallest, edge])) == hashes)
    return hashes[places], places


def _sliding(choose: np.ufunc, values: np.ndarray) -> np.ndarray:
    """Minimum or maximum of each `WINDOW` neighbours, (n − WINDOW + 1,), by doubling."""
    width = 1
    while width * 2 <= WINDOW:
        values = choose(values[:-width], values[width:])
        width *= 2
    rest = WINDOW - width
    return choose(values[:-rest], values[rest:]) if rest else values


def stretch_keys(text: str, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest stretches that are long enough and have one of the given fingerprints in them.

    Args:
        text: the text that the fingerprints are of.
        places: where those begin that stand more than once in the corpus, in letters, ascending, int64.

    Returns:
        Keys, (n,), uint64, and the letter that each begins with, (n,), int64, ascending.
    """
    if not len(places):
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    letters = fold(text)
    ends = _stretch_ends(letters)
    # The fingerprint behind a start, or at it, has to end before the stretch does.
    starts = np.arange(min(len(ends), int(places[-1]) + 1))
    following = places[np.searchsorted(places, starts)]
    starts = starts[following + WIDTH <= ends[: len(starts)]]
    return hash_stretches(letters.points)(starts, ends[starts]), starts


def _stretch_ends(letters: Letters) -> np.ndarray:
    """Where the shortest stretch ends that begins at each letter, for those at which there is one; int64, ascending."""
    sizes = np.cumsum(np.where(letters.wide, WIDE_LETTERS, 1))
    if not len(sizes):
        return np.zeros(0, dtype=np.int64)
    before = np.append(0, sizes[:-1])
    before = before[: np.searchsorted(before, sizes[-1] - MIN_LETTERS, side="right")]
    return np.searchsorted(sizes, before + MIN_LETTERS) + 1


def stretch_spans(text: str, starts: np.ndarray) -> list[tuple[int, int]]:
    """Where stretches lie in a text, joined where they overlap or touch; in whole words, with brackets, quotation marks and stops
    that stand right at them.

    Args:
        text: the text of `stretch_keys`.
        starts: the letters at which the stretches to be removed begin, ascending, int64.

    Returns:
        (start, end) in characters of the text, in order, apart from each other.
    """
    if not len(starts):
        return []
    letters = fold(text)
    ends = _stretch_ends(letters)[starts]
    is_first = np.append(True, starts[1:] > ends[:-1])
    words = np.append(letters.words, len(letters.points))
    first = words[np.searchsorted(words, starts[is_first])]
    last = words[np.searchsorted(words, ends[np.append(is_first[1:], True)], side="right") - 1]
    whole = last > first
    return [
        (_before_opening(text, int(start)), _CLOSING.match(text, int(end)).end())  # type: ignore[union-attr] - "" matches
        for start, end in zip(letters.places[first[whole]], letters.places[last[whole] - 1] + 1, strict=True)
    ]


def _before_opening(text: str, place: int) -> int:
    while place and text[place - 1] in _OPENING:
        place -= 1
    return place


def repeated_spans(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """All steps over texts in memory: what in each text stood earlier, in it or in one before.

    Returns:
        For each text (start, end) of the stretches to be removed, in order.
    """
    found = [fingerprints(text) for text in texts]
    marks = over_parts(repeated, [keys for keys, _ in found], n_buckets=1)
    stretches = [stretch_keys(text, places[mark]) for text, (_, places), mark in zip(texts, found, marks, strict=True)]
    marks = over_parts(later_occurrences, [keys for keys, _ in stretches], n_buckets=1)
    return [stretch_spans(text, starts[mark]) for text, (_, starts), mark in zip(texts, stretches, marks, strict=True)]
