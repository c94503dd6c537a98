"""Parts of speech of Chinese words, by jieba's dictionary: n noun, v verb, a adjective, r pronoun, ns place …

The tags are those of ICTCLAS as jieba uses them. For English, a tagger is trained: see the guide on tagging.
"""

from __future__ import annotations

import re

from hanmo.text.segment import load_rjieba, segment_with
from hanmo.text.user_dictionary import UserDictionary

__all__ = ["tag_chinese"]

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def tag_chinese(text: str, dictionary: UserDictionary | None = None) -> list[tuple[str, str]]:
    """The words of a Chinese text, cut as `hanmo.text.segment.segment` cuts them, and the tag of each.

    Words in other letters have the tag "eng", numbers "m", marks "x".

    >>> tag_chinese("我爱北京，and 3.5")
    [('我', 'r'), ('爱', 'v'), ('北京', 'ns'), ('，', 'x'), ('and', 'eng'), ('3.5', 'm')]

    Args:
        text: what to tag.
        dictionary: words that jieba does not know; their tags are jieba's guess, or "x" if no part of them is Chinese.

    Raises:
        HanmoError: if rjieba is not installed.
    """
    tag = load_rjieba().tag if dictionary is None else dictionary.tag
    tagged: list[tuple[str, str]] = []
    parts = [(text, False)] if dictionary is None else dictionary.parts(text)

    def cut(run: str) -> list[str]:
        tags = tag(run)
        found.update(tags)
        return [word for word, _ in tags]

    for part, is_whole in parts:
        found: dict[str, str] = {}
        words = [part] if is_whole else segment_with(part, cut)
        tagged += [(word, found.get(word) or _tag_other(word)) for word in words]
    return tagged


def _tag_other(word: str) -> str:
    if _NUMBER.fullmatch(word):
        return "m"
    return "eng" if any(map(str.isalpha, word)) else "x"
