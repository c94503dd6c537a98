"""Pinyin of Chinese text with tones, by words: 重 is chóng in 重庆 and zhòng in 重要.

The text is cut into words and each is looked up whole (pypinyin and its dictionary of phrases). Tones are those of the
dictionary: 不 and 一 keep theirs before any other. `hanmo.text.homophones` answers another question, which characters are
typed alike, and needs no library.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from hanmo.core.errors import ConfigError, MissingExtraError
from hanmo.text.segment import segment
from hanmo.text.user_dictionary import UserDictionary

__all__ = ["PinyinStyle", "Reading", "pinyin"]

PinyinStyle = Literal["marks", "numbers", "plain"]

_STYLES = {"marks": "TONE", "numbers": "TONE3", "plain": "NORMAL"}


class Reading(NamedTuple):
    """A word and how it is read."""

    word: str
    syllables: tuple[str, ...]
    """One for each character; empty for a word that is not Chinese."""

    @property
    def text(self) -> str:
        """The syllables as one word, with the apostrophe where it is due (xī'ān); the word itself if it has none."""
        first, *rest = self.syllables or (self.word,)
        return first + "".join(("'" if part[0] in "aāáǎàoōóǒòeēéěè" else "") + part for part in rest)


def pinyin(text: str, style: PinyinStyle = "marks", dictionary: UserDictionary | None = None) -> list[Reading]:
    """The words of a text and their readings.

    >>> [reading.text for reading in pinyin("重庆银行的行长很重要")]
    ['chóngqìng', 'yínháng', 'de', 'hángzhǎng', 'hěn', 'zhòngyào']

    Args:
        text: what to read.
        style: marks (zhōng), numbers (zhong1; none for the light tone) or plain (zhong).
        dictionary: words that jieba does not know.

    Raises:
        ConfigError: for a style that there is not.
        MissingExtraError: if pypinyin is not installed.
    """
    if style not in _STYLES:
        raise ConfigError(f"there is no style {style!r}", where="style", remedy="Choose marks, numbers or plain.")
    return [Reading(word, _syllables(word, style)) for word in segment(text, dictionary)]


@lru_cache(maxsize=65_536)
def _syllables(word: str, style: str) -> tuple[str, ...]:
    try:
        import pypinyin
    except ImportError as error:
        raise MissingExtraError("pypinyin", "corpus", "reading Chinese aloud") from error
    # what has no reading comes out as "", and then the word counts as not Chinese
    missing: Any = lambda _: [""]  # noqa: E731 - its annotation knows no lists, its documentation does
    found = pypinyin.pinyin([word], style=pypinyin.Style[_STYLES[style]], errors=missing, v_to_u=True)
    syllables = tuple(entry[0] for entry in found)
    return syllables if all(syllables) else ()
