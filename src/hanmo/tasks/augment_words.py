"""Texts as words that can be changed and put together again, and what EDA does to them (Wei & Zou, 2019, §2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hanmo.text.homophones import homophones, syllable
from hanmo.text.segment import segment

__all__ = [
    "Homophones",
    "Words",
    "cut_words",
    "delete_words",
    "insert_words",
    "is_han",
    "like_case",
    "replace_words",
    "swap_words",
]

_HAN = re.compile("[々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")


def is_han(word: str) -> bool:
    """Whether a word is of Chinese characters alone."""
    return _HAN.fullmatch(word) is not None


def like_case(word: str, other: str) -> str:
    """`word` with a capital first where `other` has one."""
    return word[:1].upper() + word[1:] if other[:1].isupper() and word[:1].islower() else word


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, and what stands before each."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    """White space before each word, or none."""

    def text(self) -> str:
        """Put together; words of letters never run into each other."""
        parts: list[str] = []
        before = ""
        for word, gap in zip(self.words, self.gaps, strict=True):
            gap = "" if not parts else gap
            parts.append(gap or (" " if _touch(before, word) else ""))
            parts.append(word)
            before = word
        return "".join(parts)

    def replaced(self, changes: Mapping[int, str]) -> Words:
        """With other words in these places."""
        return Words(tuple(changes.get(place, word) for place, word in enumerate(self.words)), self.gaps)


def _touch(before: str, word: str) -> bool:
    sides = (before[-1:], word[:1])
    return all(side.isalnum() and not is_han(side) for side in sides)


def cut_words(text: str) -> Words:
    """Cut a text, Chinese, English or mixed.

    >>> cut_words("我 love you.").words
    ('我', 'love', 'you', '.')
    """
    words = tuple(segment(text))
    gaps, place = [], 0
    for word in words:
        start = text.index(word, place)
        gaps.append(text[place:start])
        place = start + len(word)
    return Words(words, tuple(gaps))


def replace_words(words: Words, choices: Mapping[str, Sequence[str]], n: int, rng: np.random.Generator) -> Words | None:
    """Put one of its choices in the place of `n` words at random, or of as many as have any; None if none has."""
    places = [place for place, word in enumerate(words.words) if choices.get(word)]
    if not places:
        return None
    chosen = rng.choice(len(places), size=min(n, len(places)), replace=False)
    changes = {}
    for number in chosen:
        word = words.words[places[number]]
        options = choices[word]
        changes[places[number]] = like_case(options[int(rng.integers(len(options)))], word)
    return words.replaced(changes)


def insert_words(words: Words, choices: Mapping[str, Sequence[str]], n: int, rng: np.random.Generator) -> Words | None:
    """Put a choice of a word of the text anywhere into it, `n` times; None if no word has any."""
    sources = [word for word in words.words if choices.get(word)]
    if not sources:
        return None
    found, gaps = list(words.words), list(words.gaps)
    for _ in range(n):
        options = choices[sources[int(rng.integers(len(sources)))]]
        word, place = options[int(rng.integers(len(options)))], int(rng.integers(len(found) + 1))
        found.insert(place, word)
        gaps.insert(place, "" if is_han(word) else " ")
    return Words(tuple(found), tuple(gaps))


def swap_words(words: Words, n: int, rng: np.random.Generator) -> Words | None:
    """Two words at random change places, `n` times; None for a text in which that changes nothing."""
    if len(set(words.words)) < 2:
        return None
    found = list(words.words)
    for _ in range(n):
        one, other = rng.choice(len(found), size=2, replace=False)
        found[one], found[other] = found[other], found[one]
    return Words(tuple(found), words.gaps)


def delete_words(words: Words, n: int, rng: np.random.Generator) -> Words | None:
    """Leave `n` words at random out, one at least staying; None for a text of one word.

    The paper leaves each word out with the probability that here is the share of words: a short text would mostly stay
    as it is.
    """
    if len(words.words) < 2:
        return None
    gone = set(rng.choice(len(words.words), size=min(n, len(words.words) - 1), replace=False).tolist())
    kept = [place for place in range(len(words.words)) if place not in gone]
    return Words(tuple(words.words[place] for place in kept), tuple(words.gaps[place] for place in kept))


class Homophones:
    """What Chinese words are mistaken for by ear, or by whoever types pinyin: other words of the same syllables, the
    tones aside; where there is none, the word with one character changed for another that is read alike."""

    def __init__(self, counts: Mapping[str, int]):
        """Args:
        counts: words to draw from, and how often each is seen: the more often, the likelier it is drawn.
        """
        self._words: dict[tuple[str, ...], list[str]] = {}
        self._counts = counts
        self._characters: dict[str, int] = {}
        for word, count in counts.items():
            if (reading := _reading(word)) is not None:
                self._words.setdefault(reading, []).append(word)
                for character in word:
                    self._characters[character] = self._characters.get(character, 0) + count

    def choices(self, word: str) -> tuple[list[str], list[float]]:
        """Other words that are read as this one, and the weight of each; empty if its reading is not known."""
        reading = _reading(word)
        if reading is None:
            return [], []
        found = [other for other in self._words.get(reading, ()) if other != word]
        if found:
            return found, [float(self._counts[other]) for other in found]
        weights: list[float] = []
        for place, character in enumerate(word):
            for other in homophones(character):
                if other in self._characters:
                    found.append(word[:place] + other + word[place + 1 :])
                    weights.append(float(self._characters[other]))
        return found, weights

    def replace(self, words: Words, frequent: frozenset[str], n: int, rng: np.random.Generator) -> Words | None:
        """Put a homophone in the place of `n` words at random that are not `frequent`; None if none has one."""
        options = {
            place: self.choices(word)
            for place, word in enumerate(words.words)
            if word not in frequent and is_han(word)
        }  # fmt: skip
        places = [place for place, (found, _) in options.items() if found]
        if not places:
            return None
        changes = {}
        for number in rng.choice(len(places), size=min(n, len(places)), replace=False):
            found, weights = options[places[number]]
            shares = np.array(weights) / sum(weights)
            changes[places[number]] = found[int(rng.choice(len(found), p=shares))]
        return words.replaced(changes)


def _reading(word: str) -> tuple[str, ...] | None:
    syllables = [syllable(character) for character in word]
    return None if None in syllables else tuple(part for part in syllables if part is not None)
