"""A text as the rules see it: its lines, words and characters, each found once and only when a rule asks."""

from __future__ import annotations

import re
from functools import cache, cached_property

import numpy as np

from hanmo.corpora.dedup.letters import Letters, fold
from hanmo.text.han import CharacterCounts, code_points, count_characters
from hanmo.text.language import Language

__all__ = ["CHARS_PER_WORD", "Page", "WordCounts", "ends_sentence", "without_gaps"]

CHARS_PER_WORD = 1.6
"""Chinese characters that say as much as a word does: mean length of the words of UD Chinese GSDSimp."""

_CLOSING = "\"'”’」』》】）)]＂＇"
_TERMINAL = frozenset(".!?。！？｡．؟।")
_FUNCTION_CHARACTERS = "的了是在不我有和这這他她就也都而之其以与與于於着著被把让讓从從到对對会會可但因所为為个個们們那说說得很还還没沒要你者乃曰矣焉何"
"""Chinese characters that hold sentences together, modern and classical."""
_WRAPPED = (50, 85)
"""Length of most lines of a text that was wrapped at a fixed width, in characters."""
_SPACE, _MARK, _SYMBOL, _DIGIT, _LETTER, _WIDE = range(6)
_MARKS = ",.;:!?'\"()-，。、；：！？“”‘’（）《》〈〉「」『』【】…—–·～．"
"""Punctuation that prose is full of, which says nothing about its quality."""
_RANGES = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_CUT_OFF = re.compile(r"(?:\.\.\.|(?<!…)…|。。。)[\"'”’」』)\]）]*$")


@cache
def _kinds() -> np.ndarray:
    """The kind of each character of the basic plane, (65536,), uint8."""
    table = np.full(0x10000, _SYMBOL, dtype=np.uint8)
    for point in range(0x10000):
        char = chr(point)
        if char.isspace():
            table[point] = _SPACE
        elif char.isalpha():
            table[point] = _LETTER
        elif char.isalnum():
            table[point] = _DIGIT
    table[[ord(mark) for mark in _MARKS]] = _MARK
    for first, last in _RANGES:
        table[first : last + 1] = _WIDE
    return table


@cache
def _function_characters() -> np.ndarray:
    """Which characters of the basic plane are function characters, (65536,), bool."""
    table = np.zeros(0x10000, dtype=bool)
    table[[ord(char) for char in _FUNCTION_CHARACTERS]] = True
    return table


def ends_sentence(line: str) -> bool:
    """Whether a line ends as a sentence does: a full stop, question or exclamation mark, closing quotation marks behind it.

    A Chinese ellipsis of two characters ends a sentence; `...` and a single `…` are where something was cut off.
    """
    last = line[-1:]
    if last in _TERMINAL:
        return not line.endswith(("...", "。。。"))
    if last == "…":
        return line.endswith("……")
    if last in _CLOSING:
        stripped = line.rstrip(_CLOSING)
        return stripped[-1:] in _TERMINAL or stripped.endswith("……")
    return False


def without_gaps(text: str) -> str:
    """A text out of which lines were taken, with no more than one blank line in a row and none at its ends."""
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip("\n")


class Page:
    """A text and what the rules count in it.

    Args:
        text: repaired text.
        lang: its language.
    """

    def __init__(self, text: str, lang: Language):
        self.text, self.lang = text, lang

    @cached_property
    def counts(self) -> CharacterCounts:
        """Its characters by script."""
        return count_characters(self.text)

    @cached_property
    def is_spaceless(self) -> bool:
        """Whether it is written without spaces between words (Chinese, Japanese), and characters stand for words."""
        if self.lang in ("zh", "en"):
            return self.lang == "zh"
        return 2 * (self.counts.han + self.counts.kana) > self.counts.letters

    @cached_property
    def separator(self) -> str:
        """What stands between two lines: a line end, or an empty line where paragraphs were wrapped at a fixed width."""
        if self.is_spaceless or "\n\n" not in self.text:
            return "\n"
        least, most = _WRAPPED
        lengths = [len(line) for line in self.text.split("\n") if line and not line.isspace()]
        n_wrapped = sum(least <= length <= most for length in lengths)
        return "\n\n" if max(lengths, default=0) <= 2 * most and 2 * n_wrapped > len(lengths) else "\n"

    @cached_property
    def lines(self) -> list[str]:
        """Lines without white space around them, blank ones left out; paragraphs, where lines were wrapped."""
        return [line for line in map(str.strip, self.text.split(self.separator)) if line]

    @cached_property
    def n_line_characters(self) -> int:
        """Characters of all lines."""
        return sum(map(len, self.lines))

    @cached_property
    def letters(self) -> Letters:
        """Its letters and digits, folded."""
        return fold(self.text)

    @cached_property
    def ending_share(self) -> float:
        """Share of the lines that end as a sentence does."""
        return sum(map(ends_sentence, self.lines)) / max(len(self.lines), 1)

    @cached_property
    def cut_off_share(self) -> float:
        """Share of the lines that end in an ellipsis where something was cut off."""
        ends = (line for line in self.lines if line[-1] in "….。\"'”’」』)]）")
        return sum(_CUT_OFF.search(line, len(line) - 8 if len(line) > 8 else 0) is not None for line in ends) / max(
            len(self.lines), 1
        )

    @cached_property
    def words(self) -> WordCounts:
        """Its words, or what stands for them."""
        return WordCounts(self.points, self.is_spaceless)

    @cached_property
    def points(self) -> np.ndarray:
        """Its code points, (n,), uint32."""
        return code_points(self.text)

    @property
    def function_share(self) -> float:
        """Share of Han characters that are function characters."""
        places = np.minimum(self.points, 0xFFFF)
        return int(np.count_nonzero(_function_characters()[places])) / max(self.counts.han, 1)


class WordCounts:
    """How many words a text has, how long they are, and how many hold a letter.

    In text with spaces a word is what stands between them. In text without, a word is `CHARS_PER_WORD` characters, or a run of
    letters or digits of another script; and its length is that of the stretches between two marks, in characters.
    """

    def __init__(self, points: np.ndarray, is_spaceless: bool):
        kinds = _kinds()[np.minimum(points, 0xFFFF)]
        if is_spaceless:
            kinds[(points >= 0x20000) & (points < 0x40000)] = _WIDE
        if is_spaceless:
            self._count_characters(kinds)
        else:
            self._count_spaced(kinds)

    def _count_spaced(self, kinds: np.ndarray) -> None:
        visible = kinds != _SPACE
        starts = np.flatnonzero(visible[1:] & ~visible[:-1]) + 1
        if visible[:1].any():
            starts = np.concatenate([[0], starts])
        self.n: float = len(starts)
        self.length: float = np.count_nonzero(visible) / max(len(starts), 1)
        with_letter = np.maximum.reduceat(kinds, starts) >= _LETTER if len(starts) else starts
        self.letter_share: float = np.count_nonzero(with_letter) / max(len(starts), 1)

    def _count_characters(self, kinds: np.ndarray) -> None:
        n_wide, n_symbols = int(np.count_nonzero(kinds == _WIDE)), int(np.count_nonzero(kinds == _SYMBOL))
        changes = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
        first = np.concatenate([kinds[:1], kinds[changes]])  # the kind of each run
        n_letters, n_digits = int(np.count_nonzero(first == _LETTER)), int(np.count_nonzero(first == _DIGIT))
        inside = kinds >= _DIGIT
        n_stretches = int(np.count_nonzero(inside[1:] & ~inside[:-1])) + int(inside[:1].any())
        self.n = n_wide / CHARS_PER_WORD + n_letters + n_digits
        self.length = int(np.count_nonzero(inside)) / max(n_stretches, 1)
        units = n_wide + n_letters + n_digits + n_symbols
        self.letter_share = (n_wide + n_letters) / max(units, 1)
