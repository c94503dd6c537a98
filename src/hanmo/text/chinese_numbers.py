"""Chinese numerals and numbers: 三千零五十 ↔ 3050, 一百二 → 120, 3.5亿 → 350000000, 三分之一 ↔ 1/3.

Read are everyday and financial numerals (壹佰), simplified and traditional, 〇 and 零, 廿 and 卅, digits one by one
(二〇二六), the short form that leaves the last unit out (一百二, 两万五), and Arabic digits mixed in. 兆 is 10¹², as in
Taiwan and Japan.
"""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Literal

from hanmo.core.errors import DataError

__all__ = ["Number", "NumeralStyle", "parse_chinese_number", "to_chinese_number"]

Number = int | Decimal | Fraction
NumeralStyle = Literal["plain", "formal", "digits"]

_DIGITS = {
    character: value
    for value, characters in enumerate(
        ["零〇○", "一壹弌幺", "二贰貳弍两兩", "三叁參叄弎", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖"]
    )
    for character in characters
}
_UNITS = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_LARGE = (("兆", 10**12), ("亿", 10**8), ("万", 10**4))
_SPELLINGS = str.maketrans(
    {
        "億": "亿",
        "萬": "万",
        "點": "点",
        "負": "负",
        "廿": "二十",
        "卅": "三十",
        "卌": "四十",
        "．": ".",
        "，": ",",
        "％": "%",
    }
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
)
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|.")
_POINT = re.compile("(.+?)点([零〇○一二三四五六七八九壹贰貳叁參肆伍陆陸柒捌玖幺\\d]+)([十百千万亿兆]*)")
_DECIMAL_PARTS = {"百": 100, "千": 1000, "万": 10_000}
_LONGEST = 200
"""Characters of the longest numeral that is read, and places before or after the point of one that is written."""
_TOO_LARGE = 10**16
"""No agreed name for what comes after 千万亿."""
_NUMERALS = {"plain": "零一二三四五六七八九", "formal": "零壹贰叁肆伍陆柒捌玖", "digits": "〇一二三四五六七八九"}
_PLACES = {"plain": ("", "十", "百", "千"), "formal": ("", "拾", "佰", "仟")}


def parse_chinese_number(text: str) -> Number:
    """The number that a Chinese numeral stands for.

    >>> parse_chinese_number("两万三千零五"), parse_chinese_number("一百二"), parse_chinese_number("负三点五")
    (23005, 120, Decimal('-3.5'))

    Args:
        text: one numeral and nothing else; white space around it is ignored.

    Returns:
        An int where the number is whole; a Decimal for 点, 半, 百分之 and %; a Fraction for other 分之.

    Raises:
        DataError: if it is not a numeral: 五百三千, 十几, a word.
    """
    plain = text.strip().translate(_SPELLINGS)
    if not plain or len(plain) > _LONGEST:
        raise DataError(f"{text[:40]!r} is not a numeral: it has {len(plain)} characters")
    try:
        return _signed(plain)
    except ValueError as error:
        raise DataError(f"{text!r} is not a Chinese numeral: {error}") from None


def _signed(text: str) -> Number:
    if text[0] in "负-−":
        return -_unsigned(text[1:])
    return _unsigned(text.removeprefix("+"))


def _unsigned(text: str) -> Number:
    if not text:
        raise ValueError("a part of it is missing")
    below, parts, above = text.partition("分之")
    if parts:
        numerator = _unsigned(above)
        if below in _DECIMAL_PARTS:
            return _simplest(_exact(numerator) / _DECIMAL_PARTS[below])
        denominator = _unsigned(below)
        if not isinstance(numerator, int) or not isinstance(denominator, int) or not denominator:
            raise ValueError("a fraction is one whole number over another that is not zero")
        return Fraction(numerator, denominator)
    if text.endswith("%"):
        return _simplest(_exact(_unsigned(text[:-1])) / 100)
    if text in ("半", "一半"):
        return Decimal("0.5")
    if point := _POINT.fullmatch(text):
        whole = _unsigned(point[1])
        if not isinstance(whole, int):
            raise ValueError("there are two points in it")
        value = Decimal(f"{whole}.{''.join(str(_digit(character)) for character in point[2])}")
        for unit in point[3]:
            value = _exact(value) * (_UNITS.get(unit) or dict(_LARGE)[unit])
        return _simplest(value)
    return _simplest(_value(text))


def _digit(character: str) -> int:
    return int(character) if character.isdecimal() else _DIGITS[character]


def _value(text: str) -> Decimal:
    """Of a numeral with large units: what stands before the largest, times it, and what stands behind."""
    for name, size in _LARGE:
        before, unit, after = text.partition(name)
        if not unit:
            continue
        if not before or name in after:
            raise ValueError(f"{name} stands where no number is before it")
        if len(after) == 1 and _DIGITS.get(after):  # 两万五
            return _exact(_value(before)) * size + _DIGITS[after] * size // 10
        rest = _value(after) if after else Decimal(0)
        if rest >= size:
            raise ValueError(f"what follows {name} is larger than it")
        return _exact(_value(before)) * size + rest
    return _section(text)


def _section(text: str) -> Decimal:
    """Of a numeral up to thousands, or of digits one by one."""
    if all(character in _DIGITS or character.isdecimal() for character in text):
        return Decimal("".join(str(_digit(character)) for character in text))
    total, digit, last_unit, after_zero = Decimal(0), None, 10_000, False
    for token in _TOKEN.findall(text):
        if token in _UNITS:
            unit = _UNITS[token]
            if unit >= last_unit:
                raise ValueError(f"{token} stands after a unit that is not larger")
            if digit is None and unit != 10:
                raise ValueError(f"no digit stands before {token}")
            total += (Decimal(1) if digit is None else digit) * unit
            digit, last_unit, after_zero = None, unit, False
        elif digit is not None:
            raise ValueError("two digits stand side by side")
        elif _DIGITS.get(token) == 0:
            after_zero = True
        elif token in _DIGITS:
            digit = Decimal(_DIGITS[token])
        elif token[0].isdecimal():
            digit = Decimal(token.replace(",", ""))
        else:
            raise ValueError(f"{token} is no numeral")
    if digit is None:
        return total
    is_short = 100 <= last_unit < 10_000 and not after_zero  # 一百二
    return total + digit * (last_unit // 10 if is_short else 1)


def _exact(value: Number) -> Decimal:
    if isinstance(value, Fraction):
        raise ValueError("a fraction stands where a decimal number belongs")
    with localcontext(prec=_LONGEST * 2):
        return Decimal(value)


def _simplest(value: Decimal) -> int | Decimal:
    if value == value.to_integral_value():
        return int(value)
    return value.normalize()


def to_chinese_number(value: Number, style: NumeralStyle = "plain") -> str:
    """A number as a Chinese numeral.

    >>> to_chinese_number(3050), to_chinese_number(3050, "formal"), to_chinese_number(2026, "digits")
    ('三千零五十', '叁仟零伍拾', '二〇二六')

    Args:
        value: below 10¹⁶ in size, unless style is "digits".
        style: plain; formal, as on cheques; digits, one by one as in years.

    Raises:
        DataError: if the number is too large, infinite or not a number, or has no digits (a Fraction).
    """
    if style not in _NUMERALS:
        raise DataError(f"there is no style {style!r}", remedy="Choose plain, formal or digits.")
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value.adjusted()) < _LONGEST):
        raise DataError(f"{value} cannot be written as a numeral")
    if value < 0:
        return "负" + to_chinese_number(-value, style)
    numerals = _NUMERALS[style]
    if isinstance(value, Fraction):
        if style == "digits":
            raise DataError(f"the fraction {value} cannot be written digit by digit")
        return f"{to_chinese_number(value.denominator, style)}分之{to_chinese_number(value.numerator, style)}"
    whole, _, fraction = (str(value) if isinstance(value, int) else f"{value:f}").partition(".")
    point = "点" + "".join(numerals[int(digit)] for digit in fraction) if fraction else ""
    if style == "digits":
        return "".join(numerals[int(digit)] for digit in whole) + point
    if int(whole) >= _TOO_LARGE:
        raise DataError(f"{value} is too large for a numeral: the largest is below {_TOO_LARGE:,}")
    return _written(int(whole), style) + point


def _written(value: int, style: Literal["plain", "formal"]) -> str:
    zero = _NUMERALS[style][0]
    if value == 0:
        return zero
    text = _groups(value, style)
    return text[1:] if style == "plain" and text.startswith("一十") else text


def _groups(value: int, style: Literal["plain", "formal"]) -> str:
    """Written in groups of four places; a place or group left out within is a zero."""
    zero = _NUMERALS[style][0]
    for name, size in _LARGE[1:]:
        if value >= size:
            rest = value % size
            gap = zero if rest and rest < size // 10 else ""
            return _groups(value // size, style) + name + gap + (_groups(rest, style) if rest else "")
    text, skipped = "", False
    for place in range(3, -1, -1):
        digit = value // 10**place % 10
        if digit:
            text += (zero if skipped and text else "") + _NUMERALS[style][digit] + _PLACES[style][place]
        skipped = not digit
    return text
