"""A text as the rules see it: its lines, words and characters, each found once and only when a rule asks."""

from __future__ import annotations

import re
from functools import cached_property

from hanmo.corpora.dedup.letters import Letters, fold
from hanmo.corpora.quality.characters import Characters, WordCounts, count_in_array, count_in_string
from hanmo.text.language import Language

__all__ = ["Page", "ends_sentence", "without_gaps"]

BRIEF = 120
"""Most characters of a text whose kinds are counted in strings; the calls of numpy cost more than its arrays save."""

_CLOSING = "\"'”’」』》】）)]＂＇"
_TERMINAL = frozenset(".!?。！？｡．؟।")
_WRAPPED = (50, 85)
"""Length of most lines of a text that was wrapped at a fixed width, in characters."""
_CUT_OFF = re.compile(r"(?:\.\.\.|(?<!…)…|。。。)[\"'”’」』)\]）]*$")


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
    def characters(self) -> Characters:
        """Its characters by kind."""
        return count_in_string(self.text) if self.is_brief else count_in_array(self.text)

    @property
    def is_brief(self) -> bool:
        """Whether arrays cost more than they save."""
        return len(self.text) <= BRIEF

    @cached_property
    def is_spaceless(self) -> bool:
        """Whether it is written without spaces between words (Chinese, Japanese), and characters stand for words."""
        if self.lang in ("zh", "en"):
            return self.lang == "zh"
        return 2 * (self.characters.n_han + self.characters.n_kana) > self.characters.n_letters

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
        return self.characters.words(self.is_spaceless)
