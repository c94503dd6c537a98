"""Words that jieba does not know: names, products, terms of a trade.

Each `UserDictionary` holds a copy of jieba's dictionary, so that the words of one user are not those of another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from hanmo.core.errors import DataError, FormatError
from hanmo.text.segment import load_rjieba

__all__ = ["UserDictionary", "read_user_words"]

_HAN_ONLY = re.compile("[々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_LARGEST = 10**9


class UserDictionary:
    """Words of one's own beside those of jieba, for `hanmo.text.segment.segment` and `hanmo.text.part_of_speech`.

    A word of Chinese characters only competes with those of the dictionary by its frequency. A word with other
    characters in it (C++语言, GPT-4.5) is kept whole wherever it stands by itself.

    >>> from hanmo.text.segment import segment
    >>> segment("用翰墨工具包训练GPT-4.5", UserDictionary({"翰墨工具包": None, "GPT-4.5": None}))
    ['用', '翰墨工具包', '训练', 'GPT-4.5']

    Args:
        words: word → how often it occurs, in the scale of jieba's dictionary (60 million words of text); None for as
            often as it takes to be cut out whole.

    Raises:
        DataError: for a word that is empty or has white space in it, or a frequency below 1 or above 1e9.
        HanmoError: if rjieba is not installed.
    """

    def __init__(self, words: Mapping[str, int | None]):
        self._jieba = load_rjieba().Jieba()
        whole = []
        for word, frequency in words.items():
            _check(word, frequency, "words")
            if _HAN_ONLY.fullmatch(word):
                self._jieba.add_word(word, frequency, None)
            else:
                whole.append(word)
        self._whole = _whole_words(whole) if whole else None

    def cut(self, text: str) -> list[str]:
        """The words of a stretch of Chinese."""
        return self._jieba.cut(text)

    def tag(self, text: str) -> list[tuple[str, str]]:
        """The words of a stretch of Chinese and their parts of speech."""
        return self._jieba.tag(text)

    def parts(self, text: str) -> Iterator[tuple[str, bool]]:
        """The text in stretches, each with whether it is a word to be kept whole."""
        end = 0
        for match in self._whole.finditer(text) if self._whole else ():
            if match.start() > end:
                yield text[end : match.start()], False
            yield match[0], True
            end = match.end()
        if end < len(text):
            yield text[end:], False


def read_user_words(path: str | Path) -> dict[str, int | None]:
    """A dictionary file as jieba reads it: `word [frequency] [tag]` on a line, UTF-8; tags are not used.

    Raises:
        FormatError: for a line that is not of this form, or a file that is not UTF-8.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError("this is not UTF-8 text", where=path, remedy="Save the dictionary as UTF-8.") from error
    except OSError as error:
        raise DataError(f"cannot read this file ({error.strerror})", where=path) from error
    words: dict[str, int | None] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        is_number = len(fields) > 1 and fields[1].isdecimal()
        if len(fields) > (3 if is_number else 2):
            raise FormatError(
                f"{len(fields)} fields where a word, its frequency and its tag belong", where=f"{path}:{number}",
                remedy="Write one word on a line; a word has no space in it.",
            )  # fmt: skip
        frequency = int(fields[1]) if is_number else None
        _check(fields[0], frequency, f"{path}:{number}")
        words[fields[0]] = frequency
    return words


def _check(word: str, frequency: int | None, where: str) -> None:
    if not word or word.split() != [word]:
        raise DataError(f"{word!r} is not a word: it is empty or has white space in it", where=where)
    if frequency is not None and not 1 <= frequency <= _LARGEST:
        raise DataError(f"the frequency of {word!r} is {frequency}, not 1 to {_LARGEST:,}", where=where)


def _whole_words(words: list[str]) -> re.Pattern[str]:
    """Any of the words, the longest first, where no letter or digit of theirs goes on."""
    edge = r"[A-Za-z0-9]"
    forms = []
    for word in sorted(words, key=len, reverse=True):
        before = f"(?<!{edge})" if re.match(edge, word) else ""
        after = f"(?!{edge})" if re.match(edge, word[-1]) else ""
        forms.append(before + re.escape(word) + after)
    return re.compile("|".join(forms))
