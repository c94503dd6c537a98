"""Words that carry little meaning by themselves (的, 了, the, of), from the lists of stopwords-iso."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Literal

from hanmo.core.errors import ConfigError

__all__ = ["StopWordLanguage", "is_stop_word", "remove_stop_words", "stop_words"]

StopWordLanguage = Literal["zh", "en"]

_DAMAGED = frozenset(("himse”", "herse”", "itse”", "myse”", "10", "39"))
"""Entries of the English list that are cut off words and numbers of HTML entities."""


@cache
def stop_words(lang: StopWordLanguage) -> frozenset[str]:
    """The stop words of a language, in NFC and lower case; the Chinese ones are simplified and have marks among them.

    Raises:
        ConfigError: for another language.
    """
    if lang not in ("zh", "en"):
        raise ConfigError(f"there are no stop words for {lang!r}", where="lang", remedy="Choose zh or en.")
    from stopwordsiso import stopwords  # reads a file of all languages

    words = {unicodedata.normalize("NFC", word).strip().lower() for word in stopwords(lang)}
    return frozenset(words - _DAMAGED - {""})


def is_stop_word(word: str) -> bool:
    """Whether a word is a Chinese or English stop word, in any case, with either apostrophe.

    >>> is_stop_word("Don’t"), is_stop_word("我们"), is_stop_word("翰墨")
    (True, True, False)
    """
    plain = word.lower().replace("’", "'")
    return plain in stop_words("zh") or plain in stop_words("en")


def remove_stop_words(words: Iterable[str]) -> list[str]:
    """The words that are no stop words of either language, and no marks.

    >>> remove_stop_words(["我们", "的", "模型", "，", "the", "model"])
    ['模型', 'model']
    """
    return [word for word in words if any(map(str.isalnum, word)) and not is_stop_word(word)]
