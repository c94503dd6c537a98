"""Numbers in running text, Chinese or English, in words or digits: 三千零五十块, two hundred and five people, 3.5亿元."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from hanmo.core.errors import DataError
from hanmo.text.chinese_numbers import Number, parse_chinese_number
from hanmo.text.english_numbers import parse_english_number

__all__ = ["FoundNumber", "find_numbers"]

_NUMERAL = "零〇○一二三四五六七八九十百千万亿兆两兩廿卅卌億萬壹贰貳叁參肆伍陆陸柒捌玖拾佰仟"
_DIGITS = r"[0-9０-９]+(?:[,，][0-9０-９]{3})*+(?:[.．][0-9０-９]+)?"
_PLAIN = rf"(?:{_DIGITS}|[{_NUMERAL}])"
_CHINESE = rf"[负負]?{_PLAIN}+(?:[点點][{_NUMERAL}]+)?(?:分之{_PLAIN}+(?:[点點][{_NUMERAL}]+)?)?[%％]?"
_WORD = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|trillion"
)
_ENGLISH = (
    rf"(?:(?:minus|negative)\s+)?(?:(?:{_WORD})|(?:a\s+|{_DIGITS}\s+)(?=hundred|thousand|million|billion|trillion))"
    rf"(?:(?:\s+and\s+|\s+|-)?(?:{_WORD})\b|\s+point(?=\s))*"
)
_ANY = re.compile(
    rf"(?P<english>\b(?=[zotfsenmaZOTFSENMA0-9０-９])(?i:{_ENGLISH}))|(?P<chinese>(?=[负負0-9０-９{_NUMERAL}]){_CHINESE})"
)
_ONE_DIGIT = frozenset("一二三四五六七八九两")
_ALONE = frozenset("零一二三四五六七八九十两百千万亿")
_COUNTED = re.compile(
    "[个個只隻条條张張本人年月日天岁歲元块塊角分秒号號次回遍章节節届名层層楼樓座匹件份套双雙对對辆輛台部页頁篇句米里斤吨噸克亩畝倍成折毛周位口]"
)
"""What a single numeral counts; without it, it is more often a part of a word: 一样, 统一, 万一."""
_NO_NUMBER = frozenset(("一道", "一度", "三角", "十分", "万分"))
"""A numeral and what seems to be counted, which together are words."""
_ORDINARY = frozenset(("万一", "一一", "千万", "万千", "万万", "千千万万", "三三两两"))
"""Runs of numerals that are words."""


class FoundNumber(NamedTuple):
    """A number in a text."""

    text: str
    start: int
    end: int
    value: Number


def find_numbers(text: str) -> list[FoundNumber]:
    """The numbers of a text, in order.

    One Chinese numeral by itself is a number where a measure word follows (三个, not 统一), and words such as 万一 and 十分
    are none; "one" by itself is a pronoun. What only rarely means a number is missed rather than made one.

    >>> [(found.text, found.value) for found in find_numbers("三千零五十人，twenty-one of them, 3.5亿元")]
    [('三千零五十', 3050), ('twenty-one', 21), ('3.5亿', 350000000)]
    """
    return list(_find(text))


def _find(text: str) -> Iterator[FoundNumber]:
    for match in _ANY.finditer(text):
        found, start, end = match[0].rstrip(), match.start(), match.end()
        end = start + len(found)
        try:
            if match["english"]:
                if found.lower() != "one" and not text[end : end + 1].isalnum():
                    yield FoundNumber(found, start, end, parse_english_number(found))
            elif not _is_word(text, found, start, end):
                yield FoundNumber(found, start, end, parse_chinese_number(found))
        except DataError:
            continue  # looks like a number and is none: 三五千万, "two eleven"


def _is_word(text: str, found: str, start: int, end: int) -> bool:
    """Whether numerals are a word, or a part of one, or digits a part of a name (x2, 3D, 192.168.0.1)."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if found[0] in "0123456789" and (before.isascii() and (before.isalpha() or before in ("_", "."))):
        return True
    if found[-1] in "0123456789" and ((after.isascii() and after.isalpha()) or re.match(r"\.\d", text[end : end + 2])):
        return True
    if len(found) == 2 and all(character in _ONE_DIGIT for character in found):  # 三五个
        return True
    if found in _ORDINARY or found + after in _NO_NUMBER:
        return True
    return found in _ALONE and before != "第" and not _COUNTED.match(after)
