"""The characters of a text by kind, each counted once for all rules.

There are two forms with the same counts. In a string, every character becomes the letter of its class, and classes are counted
as letters are: nothing beats it on a post of 40 characters. In an array, classes are looked up for all characters at once.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from hanmo.text.han import SCRIPTS, code_points, script_table

__all__ = ["CHARS_PER_WORD", "Characters", "WordCounts", "count_in_array", "count_in_string"]

CHARS_PER_WORD = 1.6
"""Chinese characters that say as much as a word does: mean length of the words of UD Chinese GSDSimp."""

_FUNCTION_CHARACTERS = "的了是在不我有和这這他她就也都而之其以与與于於着著被把让讓从從到对對会會可但因所为為个個们們那说說得很还還没沒要你者乃曰矣焉何"
"""Chinese characters that hold sentences together, modern and classical."""
_SPACE, _MARK, _SYMBOL, _DIGIT, _LETTER, _WIDE = range(6)
_MARKS = ",.;:!?'\"()-，。、；：！？“”‘’（）《》〈〉「」『』【】…—–·～．"
"""Punctuation that prose is full of, which says nothing about its quality."""
_RANGES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_BEYOND = 0xFFFF
"""Characters beyond the basic plane, Han ones excepted, are of the class of this one: a symbol of no script."""
_FIRST_HAN, _END_HAN = 0x20000, 0x40000
"""Planes of Han characters."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How many words a text has, how long they are, and how many hold a letter.

    In text with spaces a word is what stands between them. In text without, a word is `CHARS_PER_WORD` characters, or a run of
    letters or digits of another script; and its length is that of the stretches between two marks, in characters.
    """

    n: float
    length: float
    letter_share: float


@dataclass(frozen=True, slots=True)
class _Classes:
    """Classes of characters: what two characters of one class share is all that rules ask. Numbered by ascending kind."""

    of_point: np.ndarray
    """Class of each character of the basic plane, (65536,), uint8."""
    scripts: tuple[str, ...]
    """Script of each class."""
    kinds: tuple[int, ...]
    """Kind of each class."""
    function: tuple[int, ...]
    """The classes of function characters."""

    @property
    def rare_han(self) -> int:
        """Class of Han characters beyond the basic plane, after all others: wide in text without spaces, else a symbol."""
        return len(self.kinds) - 1

    def from_kind(self, kind: int) -> int:
        """The first class of a kind; classes of lower kinds stand before it."""
        return self.kinds.index(kind)


@cache
def _classes() -> _Classes:
    kinds = np.full(0x10000, _SYMBOL, dtype=np.int64)
    for point in range(0x10000):
        char = chr(point)
        if char.isspace():
            kinds[point] = _SPACE
        elif char.isalpha():
            kinds[point] = _LETTER
        elif char.isalnum():
            kinds[point] = _DIGIT
    kinds[[ord(mark) for mark in _MARKS]] = _MARK
    for first, last in _RANGES:
        kinds[first : last + 1] = _WIDE
    is_function = np.zeros(0x10000, dtype=np.int64)
    is_function[[ord(char) for char in _FUNCTION_CHARACTERS]] = 1
    packed = (kinds * len(SCRIPTS) + script_table()) * 2 + is_function
    distinct, of_point = np.unique(packed, return_inverse=True)
    scripts, kinds_of = distinct // 2 % len(SCRIPTS), distinct // 2 // len(SCRIPTS)
    return _Classes(
        of_point.astype(np.uint8),
        (*(SCRIPTS[script] for script in scripts.tolist()), "han"),
        (*kinds_of.tolist(), _WIDE),
        tuple(np.flatnonzero(distinct % 2).tolist()),
    )


class Characters(ABC):
    """How many characters of each kind a text has.

    Args:
        counts: how many of each class, those that occur.
    """

    def __init__(self, counts: Mapping[int, int]):
        classes = _classes()
        self._counts = counts
        self._by_kind = [0] * (_WIDE + 1)
        by_script = dict.fromkeys(SCRIPTS, 0)
        for number, count in counts.items():
            self._by_kind[classes.kinds[number]] += count
            by_script[classes.scripts[number]] += count
        self.n = sum(self._by_kind)
        """All characters."""
        self.n_space = by_script["space"]
        """White space."""
        self.n_han, self.n_kana = by_script["han"], by_script["kana"]
        self.n_wide_letters = self.n_han + self.n_kana + by_script["hangul"]
        """Han characters, kana and hangul."""
        self.n_letters = self.n_wide_letters + by_script["latin"] + by_script["other_letters"]
        """All characters that carry words."""

    @property
    def function_share(self) -> float:
        """Share of Han characters that are function characters."""
        return sum(self._counts.get(number, 0) for number in _classes().function) / max(self.n_han, 1)

    def words(self, is_spaceless: bool) -> WordCounts:
        """Its words, or what stands for them."""
        return self._words_by_length() if is_spaceless else self._words_by_space()

    def _words_by_length(self) -> WordCounts:
        by_kind = self._by_kind
        n_wide, n_symbols = by_kind[_WIDE], by_kind[_SYMBOL]
        n_letters = self._n_runs(_LETTER, _WIDE) if by_kind[_LETTER] else 0
        n_digits = self._n_runs(_DIGIT, _LETTER) if by_kind[_DIGIT] else 0
        units = n_wide + n_letters + n_digits + n_symbols
        return WordCounts(
            n=n_wide / CHARS_PER_WORD + n_letters + n_digits,
            length=sum(by_kind[_DIGIT:]) / max(self._n_runs(_DIGIT, _WIDE + 1), 1),
            letter_share=(n_wide + n_letters) / max(units, 1),
        )

    @abstractmethod
    def _n_runs(self, kind: int, end: int) -> int:
        """Runs of characters of kinds from `kind` to before `end`, those of rare Han characters among the wide ones."""

    @abstractmethod
    def _words_by_space(self) -> WordCounts: ...


# ---------------------------------------------------------------------------------------------------------------- in an array


def count_in_array(text: str) -> Characters:
    """Count the characters of a text; a few nanoseconds per character, and some microseconds."""
    classes, points = _classes(), code_points(text)
    if text.isascii():
        return _ArrayCharacters(classes.of_point[points])
    found = classes.of_point[np.minimum(points, _BEYOND)]
    rare = points >= _FIRST_HAN
    if rare.any():
        found[rare & (points < _END_HAN)] = classes.rare_han
    return _ArrayCharacters(found)


class _ArrayCharacters(Characters):
    def __init__(self, found: np.ndarray):
        super().__init__({number: count for number, count in enumerate(np.bincount(found).tolist()) if count})
        self._found = found

    def _n_runs(self, kind: int, end: int) -> int:
        classes = _classes()
        inside = self._found >= classes.from_kind(kind)
        if end <= _WIDE:
            inside &= self._found < classes.from_kind(end)
        return int((inside[1:] > inside[:-1]).sum()) + int(inside[:1].any())

    def _words_by_space(self) -> WordCounts:
        classes, found = _classes(), self._found
        if classes.rare_han in self._counts:
            found = np.where(found == classes.rare_han, classes.of_point[_BEYOND], found)
        visible = found >= classes.from_kind(_MARK)
        starts = (visible[1:] > visible[:-1]).nonzero()[0] + 1
        if visible[:1].any():
            starts = np.concatenate([[0], starts])
        with_letter = np.maximum.reduceat(found, starts) >= classes.from_kind(_LETTER) if len(starts) else starts
        n = max(len(starts), 1)
        return WordCounts(n=len(starts), length=sum(self._by_kind[_MARK:]) / n, letter_share=int(with_letter.sum()) / n)


# --------------------------------------------------------------------------------------------------------------- in a string


class _ClassLetters(dict[int, str]):
    """The letter of the class of each code point, found when first asked for."""

    def __missing__(self, point: int) -> str:
        classes = _classes()
        if _FIRST_HAN <= point < _END_HAN:
            number = classes.rare_han
        else:
            number = int(classes.of_point[min(point, _BEYOND)])
        self[point] = found = chr(_FIRST_LETTER + number)
        return found


_FIRST_LETTER = 0x30
_class_letters = _ClassLetters()


@cache
def _runs_of(kind: int, end: int) -> re.Pattern[str]:
    classes = _classes()
    last = classes.from_kind(end) - 1 if end <= _WIDE else classes.rare_han
    return re.compile(f"[{_escaped(classes.from_kind(kind))}-{_escaped(last)}]+")


@cache
def _letter_to_space() -> re.Pattern[str]:
    """The rest of a word from its first letter on."""
    classes = _classes()
    letters = f"{_escaped(classes.from_kind(_LETTER))}-{_escaped(classes.rare_han - 1)}"
    return re.compile(f"[{letters}][{_escaped(classes.from_kind(_MARK))}-{_escaped(classes.rare_han)}]*")


def _escaped(number: int) -> str:
    return f"\\x{_FIRST_LETTER + number:02x}"


def count_in_string(text: str) -> Characters:
    """Count the characters of a text; some ten nanoseconds per character."""
    return _StringCharacters(text)


class _StringCharacters(Characters):
    def __init__(self, text: str):
        self._text, self._letters = text, text.translate(_class_letters)
        super().__init__({ord(letter) - _FIRST_LETTER: count for letter, count in Counter(self._letters).items()})

    def _n_runs(self, kind: int, end: int) -> int:
        return len(_runs_of(kind, end).findall(self._letters))

    def _words_by_space(self) -> WordCounts:
        words = self._text.split()
        n = max(len(words), 1)
        return WordCounts(
            n=len(words),
            length=sum(map(len, words)) / n,
            letter_share=len(_letter_to_space().findall(self._letters)) / n,
        )
