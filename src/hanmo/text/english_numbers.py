"""English number words and numbers: two hundred and five ↔ 205, minus three point five → -3.5, 3.5 million → 3500000."""

from __future__ import annotations

import re
from decimal import Decimal

from hanmo.core.errors import DataError

__all__ = ["parse_english_number", "to_english_number"]

_SMALL_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS_WORDS = "- - twenty thirty forty fifty sixty seventy eighty ninety"
_SMALL, _TENS = _SMALL_WORDS.split(), _TENS_WORDS.split()
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {
    word: 10 * value for value, word in enumerate(_TENS) if value >= 2
}
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_DIGITS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_LONGEST = 400
"""Characters of the longest text that is read."""
_TOO_LARGE = 10**15


def parse_english_number(text: str) -> int | Decimal:
    """The number that English words stand for.

    >>> parse_english_number("two hundred and five"), parse_english_number("3.5 million")
    (205, 3500000)

    Args:
        text: one number and nothing else, in any case.

    Returns:
        An int where the number is whole.

    Raises:
        DataError: if it is not a number: "hundred", "two and", "dozen".
    """
    words = re.sub(r"[-\s]+", " ", text.strip().lower().removeprefix("-")).split()
    negative = text.lstrip().startswith("-") or words[:1] in (["minus"], ["negative"])
    words = words[words[:1] in (["minus"], ["negative"]) :]
    if not words or len(text) > _LONGEST:
        raise DataError(f"{text[:40]!r} is not a number in English words: it has {len(text)} characters")
    try:
        value = _parse(words)
    except ValueError as error:
        raise DataError(f"{text!r} is not a number in English words: {error}") from None
    value = -value if negative else value
    return int(value) if value == value.to_integral_value() else value


def _parse(words: list[str]) -> Decimal:
    fraction, scale_after = "", 1
    if "point" in words:
        at = words.index("point")
        words, digits = words[:at] or ["zero"], words[at + 1 :]
        if digits and digits[-1] in _SCALES:
            scale_after = _SCALES[digits.pop()]
        if not digits or any(_VALUES.get(word, 10) > 9 for word in digits):
            raise ValueError("after the point stands one digit after the other")
        fraction = "".join(str(_VALUES[word]) for word in digits)
    total, group, last_scale, place = Decimal(0), None, 10**18, 1000
    for position, word in enumerate(words):
        if word == "and" and place >= 100 and 0 < position < len(words) - 1:
            continue
        if word in _SCALES:
            if group is None or _SCALES[word] >= last_scale:
                raise ValueError(f"{word!r} stands in the wrong place")
            total += group * _SCALES[word]
            group, last_scale, place = None, _SCALES[word], 1000
        elif word == "hundred":
            if group is None or not 0 < group < 100 or place == 100:
                raise ValueError("'hundred' stands in the wrong place")
            group, place = group * 100, 100
        else:
            value, size = _read(word)
            if group is not None and not 0 < value < place:
                raise ValueError(f"{word!r} stands in the wrong place")
            group, place = (group or Decimal(0)) + value, size
    total += group or 0
    return (total + Decimal(f"0.{fraction}") if fraction else total) * scale_after


def _read(word: str) -> tuple[Decimal, int]:
    """The value of a word, and what a word that follows must be smaller than."""
    if word in ("a", "an"):
        return Decimal(1), 1
    if _DIGITS.fullmatch(word):
        return Decimal(word.replace(",", "")), 1
    if word not in _VALUES:
        raise ValueError(f"{word!r} is no number word")
    value = _VALUES[word]
    return Decimal(value), 10 if value >= 20 else 1


def to_english_number(value: int | Decimal) -> str:
    """A number in English words.

    >>> to_english_number(-1205)
    'minus one thousand two hundred and five'

    Raises:
        DataError: if its size is 10¹⁵ or more, or it is not finite.
    """
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _LONGEST):
        raise DataError(f"{value} cannot be written in words")
    if abs(value) >= _TOO_LARGE:
        raise DataError(f"{value} is too large for words: the largest is below {_TOO_LARGE:,}")
    if value < 0:
        return "minus " + to_english_number(-value)
    whole, _, fraction = (str(value) if isinstance(value, int) else f"{value:f}").partition(".")
    words = _written(int(whole))
    return f"{words} point {' '.join(_SMALL[int(digit)] for digit in fraction)}" if fraction else words


def _written(value: int) -> str:
    for name, scale in reversed(_SCALES.items()):
        if value >= scale:
            rest = value % scale
            joint = " and " if 0 < rest < 100 else " "
            return f"{_written(value // scale)} {name}" + (joint + _written(rest) if rest else "")
    if value >= 100:
        return f"{_SMALL[value // 100]} hundred" + (f" and {_written(value % 100)}" if value % 100 else "")
    if value >= 20:
        return _TENS[value // 10] + (f"-{_SMALL[value % 10]}" if value % 10 else "")
    return _SMALL[value]
