"""What one word counts as, in text of any script: Han and kana characters one by one, other words whole, lower-cased."""

from __future__ import annotations

import re

__all__ = ["has_han", "share_of_han", "units_of"]

_HAN = "々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d"
_UNIT = re.compile(rf"[{_HAN}{_KANA}]|(?:[^\W_{_HAN}{_KANA}][\u0300-\u036f]*)+")
_HAN_CHARACTER = re.compile(rf"[{_HAN}]")


def units_of(text: str) -> list[str]:
    """The units of a text, in order; punctuation and underscores separate words and are dropped."""
    return _UNIT.findall(text.lower())


def has_han(text: str) -> bool:
    """Whether a Chinese character occurs."""
    return _HAN_CHARACTER.search(text) is not None


def share_of_han(text: str) -> float:
    """Chinese characters among all letters and digits, 0..1; 0 for a text without any."""
    letters = sum(map(str.isalnum, text))
    return len(_HAN_CHARACTER.findall(text)) / letters if letters else 0.0
