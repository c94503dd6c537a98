"""Text whose words or characters were set apart by blanks, as tokenized corpora are published, written as people write."""

from __future__ import annotations

import re

__all__ = ["tidy_spacing"]

_HAN = r"\u2e80-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff…—“”‘’"
_BETWEEN_HAN = re.compile(rf"(?<=[{_HAN}])[ \t\u3000]+(?=[{_HAN}])")
_AROUND_MARK = re.compile(r"[ \t]*([\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65…—“”‘’])[ \t]*")
_AROUND_DIGITS = re.compile(r"(?<=\d) (?=\d)")
_CONTRACTION = re.compile(r"(?<=\w) ?['’] ?(s|m|re|ve|ll|d|t)\b", re.IGNORECASE)
_BEFORE_MARK = re.compile(r"[ \t]+(?=[,.;:!?%)\]])")
_AFTER_OPENING = re.compile(r"(?<=[(\[])[ \t]+")
_NO_BLANK_AFTER = re.compile(r"(?<=[a-z][.?!])(?=[A-Z])")
_MANY_HAN = 0.2


def tidy_spacing(text: str) -> str:
    """The same text with blanks where they belong.

    In Chinese ("你 好 ， 2 0 元") there are none between characters and signs; in English ("Let ' s go , Jim .") none before
    the signs that follow a word, none inside a contraction, and one between two sentences ("right.But").
    """
    text = " ".join(text.split())
    if len(re.findall(rf"[{_HAN}]", text)) > _MANY_HAN * len(text.replace(" ", "")):
        return _AROUND_DIGITS.sub("", _BETWEEN_HAN.sub("", _AROUND_MARK.sub(r"\1", text)))
    text = _CONTRACTION.sub(r"'\1", text)
    text = _AFTER_OPENING.sub("", _BEFORE_MARK.sub("", text))
    return _NO_BLANK_AFTER.sub(" ", text)
