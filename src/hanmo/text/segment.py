"""Cut Chinese and English text into words: Chinese by jieba, English words whole, each punctuation mark its own word.

White space separates words and is dropped; every other character is in exactly one word, in its order. Chinese is cut
by rjieba, jieba's dictionary, longest probable path and hidden Markov model in Rust (github.com/fxsj/jieba).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import HanmoError

if TYPE_CHECKING:
    from hanmo.text.user_dictionary import UserDictionary

__all__ = ["is_segmented", "load_rjieba", "segment", "segment_with", "words_of_lines"]

_HAN = "々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUN = rf"(?:[^\W{_HAN}]++[\u0300-\u036f]*+)++"
"""Letters, digits and combining accents of any script but Chinese."""
_OTHER = (
    r"(?:[A-Za-z]\.){2,}"  # U.S.
    rf"|[A-Za-z](?:\+\+|#)(?![^\W{_HAN}])"  # C++, C#
    rf"|\d++(?:[.,:]\d++)*+(?![^\W{_HAN}])"  # 3.14, 12:30
    rf"|{_RUN}(?:['’\-]{_RUN})*+"  # don't, state-of-the-art
    r"|…+|—+|-{2,}|\.{2,}|～+|~+"
    r"|\S"
)
# Chinese with the letters and digits that touch it: 卡拉OK and T恤 are words of the dictionary; the don't of 我don't is not
# taken apart. Not possessive: Python 3.11.2 passes over what looks ahead behind a possessive group within another
_LETTERS = r"[A-Za-z0-9]+(?![A-Za-z0-9])"
_CHINESE = (
    rf"(?:{_LETTERS}(?=[{_HAN}]))?[{_HAN}]+(?:[A-Za-z0-9]+[{_HAN}]+)*"
    rf"(?:{_LETTERS}(?!['’.:\-][A-Za-z0-9])(?!\+\+)(?!#))?"
)
_ANY_WORD = re.compile(f"({_CHINESE})|{_OTHER}")
_OTHER_WORD = re.compile(_OTHER)
_HAS_HAN = re.compile(rf"[{_HAN}]")
_GLUED = re.compile(r"\w[,.;:!?)\]\"”’'，。；：！？、]+$|^[(\[\"“‘'《（]+\w")
_LONGEST_WORD = 3.0
"""Mean length of white-space words with Chinese, in characters, up to which a text counts as segmented."""
_GLUED_SHARE = 0.05
"""Share of words with punctuation on them up to which a text counts as segmented ("Mr." is no sign)."""


@cache
def load_rjieba() -> Any:
    """The library; its module-level functions share one dictionary, which nobody here changes.

    Raises:
        HanmoError: if rjieba is not installed.
    """
    try:
        import rjieba  # 60 ms for its dictionary, which English text need not pay
    except ImportError as error:
        raise HanmoError(
            "Chinese text is cut into words by the package 'rjieba', which is not installed",
            remedy="Install it with: pip install rjieba",
        ) from error
    return rjieba


def segment(text: str, dictionary: UserDictionary | None = None) -> list[str]:
    """The words of a text, Chinese, English or mixed; NFC is expected (`hanmo.text.repair`).

    >>> segment("宝玉笑道：“I don't know.”")
    ['宝玉', '笑', '道', '：', '“', 'I', "don't", 'know', '.', '”']

    Args:
        text: what to cut.
        dictionary: words that jieba does not know.

    Raises:
        HanmoError: if there is Chinese in it and rjieba is not installed.
    """
    if dictionary is None:
        return segment_with(text, _shared_cut)
    words: list[str] = []
    for part, is_whole in dictionary.parts(text):
        if is_whole:
            words.append(part)
        else:
            words += segment_with(part, dictionary.cut)
    return words


def segment_with(text: str, cut: Callable[[str], list[str]]) -> list[str]:
    """The words of a text, with a segmenter of one's own for what is Chinese.

    Args:
        text: what to cut.
        cut: given a stretch of Chinese characters, with the letters and digits that touch them, its words.
    """
    if not _HAS_HAN.search(text):
        return _OTHER_WORD.findall(text)
    words: list[str] = []
    for match in _ANY_WORD.finditer(text):
        if match[1]:
            words += cut(match[0])
        else:
            words.append(match[0])
    return words


def _shared_cut(text: str) -> list[str]:
    return load_rjieba().cut(text)


def words_of_lines(lines: Iterable[str]) -> Iterator[list[str]]:
    """The words of each line that has any, one line at a time."""
    for line in lines:
        if words := segment(line):
            yield words


def is_segmented(text: str) -> bool:
    """Whether white space already separates the words of a text: Chinese in short pieces, punctuation by itself."""
    words = text.split()
    han = [len(word) for word in words if _HAS_HAN.search(word)]
    if sum(han) > _LONGEST_WORD * len(han):
        return False
    return sum(_GLUED.search(word) is not None for word in words) <= _GLUED_SHARE * len(words)
