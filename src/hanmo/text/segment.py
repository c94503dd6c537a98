"""Cut Chinese and English text into words: Chinese by jieba, English words whole, each punctuation mark its own word.

White space separates words and is dropped; every other character is in exactly one word, in its order. Chinese is cut
by rjieba, jieba's dictionary, longest probable path and hidden Markov model in Rust (github.com/fxsj/jieba).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from hanmo.core.errors import HanmoError

__all__ = ["is_segmented", "segment", "words_of_lines"]

_HAN = "々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_RUN = rf"(?:[^\W{_HAN}]++[\u0300-\u036f]*+)++"
"""Letters, digits and combining accents of any script but Chinese."""
_OTHER = (
    r"(?:[A-Za-z]\.){2,}"  # U.S.
    r"|[A-Za-z](?:\+\+|#)(?!\w)"  # C++, C#
    rf"|\d++(?:[.,:]\d++)*+(?![^\W{_HAN}])"  # 3.14, 12:30
    rf"|{_RUN}(?:['’\-]{_RUN})*+"  # don't, state-of-the-art
    r"|…+|—+|-{2,}|\.{2,}|～+|~+"
    r"|\S"
)
# Chinese with the letters and digits that touch it: 卡拉OK and T恤 are words of the dictionary. Possessive, so that the
# don't of 我don't is not taken apart
_CHINESE = (
    rf"(?:[A-Za-z0-9]++(?=[{_HAN}]))?+[{_HAN}]++(?:[A-Za-z0-9]++[{_HAN}]++)*+(?:[A-Za-z0-9]++(?!['’.:\-][A-Za-z0-9]))?+"
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
def _jieba() -> Callable[[str], list[str]]:
    try:
        import rjieba  # 60 ms for its dictionary, which English text need not pay
    except ImportError as error:
        raise HanmoError(
            "Chinese text is cut into words by the package 'rjieba', which is not installed",
            remedy="Install it with: pip install rjieba",
        ) from error
    return rjieba.cut


def segment(text: str) -> list[str]:
    """The words of a text, Chinese, English or mixed; NFC is expected (`hanmo.text.repair`).

    >>> segment("宝玉笑道：“I don't know.”")
    ['宝玉', '笑', '道', '：', '“', 'I', "don't", 'know', '.', '”']

    Raises:
        HanmoError: if there is Chinese in it and rjieba is not installed.
    """
    if not _HAS_HAN.search(text):
        return _OTHER_WORD.findall(text)
    words: list[str] = []
    for match in _ANY_WORD.finditer(text):
        if match[1]:
            words += _jieba()(match[0])
        else:
            words.append(match[0])
    return words


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
