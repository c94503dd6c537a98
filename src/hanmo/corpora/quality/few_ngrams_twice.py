"""Proof, for most texts and at little cost, that their n-grams repeat within the bounds of `quality.repetition`.

An n-gram that stands twice has all its letters twice, so counts of short stretches of letters bound those of n-grams. Chinese
n-grams are of three characters and more: three letters fit into one number, and a stretch of eight is told by three such
numbers. Where the bounds do not suffice, nothing is said, and the n-grams themselves are counted.
"""

from __future__ import annotations

from collections import Counter
from operator import add

import numpy as np

from hanmo.corpora.dedup.letters import fold_words
from hanmo.corpora.quality.characters import CHARS_PER_WORD
from hanmo.corpora.quality.page import Page

__all__ = ["MAX_DUPLICATE_NGRAMS", "MAX_TOP_NGRAM", "MIN_TOP_COUNT", "has_few_ngrams_twice"]

MAX_TOP_NGRAM = {2: 0.20, 3: 0.18, 4: 0.16}
"""Largest share of letters in the most frequent n-gram, by n."""
MIN_TOP_COUNT = 3
"""An n-gram that stands fewer times is not frequent: of 15 characters, a name that stands twice is a third."""
MAX_DUPLICATE_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Largest share of letters in n-grams that stood earlier, by n."""

_WIDTHS = {round(n * CHARS_PER_WORD): share for n, share in MAX_TOP_NGRAM.items()}
_SHORTEST, _DUPLICATE = min(_WIDTHS), round(min(MAX_DUPLICATE_NGRAMS) * CHARS_PER_WORD)
_LEAST = min(MAX_DUPLICATE_NGRAMS.values())
"""No text with a smaller share of letters in the shortest duplicate n-grams has too many of longer ones."""
_SLACK = 1 - 1e-9
"""What rounding may take from a bound."""
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xD1342543DE82EF95], dtype=np.uint64)


def has_few_ngrams_twice(page: Page) -> bool:
    """Whether no n-gram is too frequent and too few are duplicates; False where counting them all has to tell."""
    if page.is_brief:
        return _of_brief(fold_words(page.text), page.is_spaceless)
    return page.is_spaceless and _of_letters(page.letters.points, page.letters.wide)


def _of_brief(words: list[str], is_spaceless: bool) -> bool:
    letters = "".join(words)
    if is_spaceless:
        trigrams = list(zip(letters, letters[1:], letters[2:], strict=False))
        distinct = set(trigrams)
        if len(distinct) == len(trigrams):
            return True
        if len(trigrams) - len(distinct) >= MIN_TOP_COUNT - 1 and max(Counter(trigrams).values()) >= MIN_TOP_COUNT:
            return False
        stretches = [letters[at : at + _DUPLICATE] for at in range(len(letters) - _DUPLICATE + 1)]
        return len(set(stretches)) == len(stretches)
    if not letters.isascii():
        return False  # there may be wide letters, which are words of their own
    pairs = list(map(add, words, words[1:]))
    if len(set(pairs)) == len(pairs):
        return True
    if max(Counter(pairs).values()) >= MIN_TOP_COUNT:
        return False
    fives = list(map("".join, zip(*(words[at:] for at in range(min(MAX_DUPLICATE_NGRAMS))), strict=False)))
    return len(set(fives)) == len(fives)


def _of_letters(points: np.ndarray, wide: np.ndarray) -> bool:
    """The same for letters, (n,), of text without spaces, and which are wide, (n,), bool."""
    n = len(points)
    longer = n - int(wide.sum())  # an n-gram has as many letters as its width, and some of those of runs
    most = int(min(share * n / (width + longer) for width, share in _WIDTHS.items()) * _SLACK)
    packed = points.astype(np.uint64)
    triples = (packed[:-2] << np.uint64(42)) | (packed[1:-1] << np.uint64(21)) | packed[2:]
    ordered = np.sort(triples)
    count = max(most + 1, MIN_TOP_COUNT)
    if (ordered[count - 1 :] == ordered[: len(ordered) - count + 1]).any():
        return False
    last = _DUPLICATE - _SHORTEST
    stretches = triples[:-last] * _FACTORS[0] + triples[_SHORTEST : _SHORTEST - last] * _FACTORS[1] + triples[last:]
    stretches.sort()
    n_later = int((stretches[1:] == stretches[:-1]).sum())
    return n_later * (_DUPLICATE + longer) <= _LEAST * n * _SLACK
