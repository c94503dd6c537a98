"""Numbers in Chinese and English words, both ways, and in running text."""

from __future__ import annotations

import time
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import DataError
from hanmo.text.chinese_numbers import Number, parse_chinese_number, to_chinese_number
from hanmo.text.english_numbers import parse_english_number, to_english_number
from hanmo.text.find_numbers import find_numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三千零五十", 3050),
        ("两万", 20_000),
        ("一百二", 120),
        ("一百零二", 102),
        ("两万五", 25_000),
        ("三亿五", 350_000_000),
        ("廿", 20),
        ("廿五", 25),
        ("十五", 15),
        ("一百十五", 115),
        ("壹佰", 100),
        ("貳拾萬", 200_000),
        ("〇", 0),
        ("二〇二六", 2026),
        ("一万亿", 10**12),
        ("五千万", 50_000_000),
        ("一万零一十", 10_010),
        ("3.5亿", 350_000_000),
        ("1,200万", 12_000_000),
        ("3千5百", 3500),
        ("２００", 200),
        ("负三", -3),
        ("三點一四", Decimal("3.14")),
        ("三点五万", 35_000),
        ("半", Decimal("0.5")),
        ("百分之五", Decimal("0.05")),
        ("百分之三点五", Decimal("0.035")),
        ("17％", Decimal("0.17")),
        ("三分之一", Fraction(1, 3)),
        ("负三分之二", Fraction(-2, 3)),
        (" 七 ", 7),
    ],
)
def test_chinese(text: str, value: Number) -> None:
    found = parse_chinese_number(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["", "好", "百", "萬", "十十", "五百三千", "三百五百", "十几", "一样", "万一", "零分之一", "三万五万", "一点", "负", "点五", "1.2.3", "一" * 300, "半分之一", "三点五点六", "1/2"]
)  # fmt: skip
def test_no_chinese_number(text: str) -> None:
    with pytest.raises(DataError):
        parse_chinese_number(text)


@pytest.mark.parametrize(
    ("value", "plain", "formal"),
    [
        (0, "零", "零"),
        (10, "十", "壹拾"),
        (12, "十二", "壹拾贰"),
        (110, "一百一十", "壹佰壹拾"),
        (3050, "三千零五十", "叁仟零伍拾"),
        (10_010, "一万零一十", "壹万零壹拾"),
        (100_000, "十万", "壹拾万"),
        (100_000_001, "一亿零一", "壹亿零壹"),
        (100_500_000, "一亿零五十万", "壹亿零伍拾万"),
        (10**12, "一万亿", "壹万亿"),
        (-5, "负五", "负伍"),
        (Decimal("3.14"), "三点一四", "叁点壹肆"),
        (Fraction(1, 3), "三分之一", "叁分之壹"),
    ],
)
def test_written_in_chinese(value: Number, plain: str, formal: str) -> None:
    assert to_chinese_number(value) == plain
    assert to_chinese_number(value, "formal") == formal


def test_digit_by_digit() -> None:
    assert to_chinese_number(2026, "digits") == "二〇二六"
    assert to_chinese_number(10**20, "digits") == "一" + "〇" * 20


@pytest.mark.parametrize("value", [10**16, Decimal("inf"), Decimal("nan"), Decimal("1e999999")])
def test_what_cannot_be_written(value: Number) -> None:
    with pytest.raises(DataError):
        to_chinese_number(value)
    with pytest.raises(DataError):
        to_english_number(value)  # pyright: ignore[reportArgumentType]


numbers = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(0, 10**5),
    st.decimals(-(10**9), 10**9, places=3),
)


@given(numbers)
def test_there_and_back(value: int | Decimal) -> None:
    assert parse_chinese_number(to_chinese_number(value)) == value
    assert parse_chinese_number(to_chinese_number(value, "formal")) == value
    assert parse_english_number(to_english_number(value)) == value


@given(st.text(st.sampled_from("零一二三十百千万亿两半点分之负%.,35廿"), max_size=12))
def test_only_the_error_that_is_named(text: str) -> None:
    try:
        value = parse_chinese_number(text)
    except DataError:
        return
    assert isinstance(value, int | Decimal | Fraction)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("two hundred and five", 205),
        ("Twenty-One", 21),
        ("a hundred", 100),
        ("nineteen hundred", 1900),
        ("one million two thousand", 1_002_000),
        ("3.5 million", 3_500_000),
        ("1,500 million", 1_500_000_000),
        ("two point five million", 2_500_000),
        ("minus three point five", Decimal("-3.5")),
        ("zero", 0),
    ],
)
def test_english(text: str, value: int | Decimal) -> None:
    assert parse_english_number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "hundred", "two and", "and two", "twenty eleven", "one two", "five hundred hundred", "two thousand three million", "dozen", "point", "three point", "twenty zero"],
)  # fmt: skip
def test_no_english_number(text: str) -> None:
    with pytest.raises(DataError):
        parse_english_number(text)


@given(
    st.lists(
        st.sampled_from(["two", "twenty", "hundred", "and", "thousand", "point", "a", "minus", "3.5", "zero"]),
        max_size=6,
    )
)
def test_english_has_only_the_error_that_is_named(words: list[str]) -> None:
    try:
        parse_english_number(" ".join(words))
    except DataError:
        return


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("三千零五十人来了", "3050"),
        ("一共两万块，第三次，百分之五", "20000 3 0.05"),
        ("他一样统一了，万一十分高兴，三五个人", ""),
        ("一个人二〇二六年三月", "1 2026 3"),
        ("one of the two hundred and five people", "205"),
        ("Twenty years, 3.5 million, a thousand", "20 3500000 1000"),
        ("someone at x2, MP3, 192.168.0.1 and 3D", ""),
        ("占１７％，共3.5亿元，$3.50", "0.17 350000000 3.5"),
        ("2026-11-22", "2026 11 22"),
        ("", ""),
    ],
)
def test_in_running_text(text: str, found: str) -> None:
    numbers = find_numbers(text)
    assert [str(item.value) for item in numbers] == found.split()
    assert all(text[item.start : item.end] == item.text for item in numbers)


@pytest.mark.parametrize("unit", ["一", "1", "two ", "1,111", "分之", "点一", "a ", "minus ", "twenty-", "1.", "111,"])
def test_time_grows_with_the_text(unit: str) -> None:
    text = unit * (10_000 // len(unit))
    started = time.process_time()
    find_numbers(text)
    assert time.process_time() - started < 2
