"""Readings of characters: by the order of GB 2312, checked on words that everybody reads alike."""

from __future__ import annotations

import pytest

from hanmo.text.homophones import homophones, syllable


@pytest.mark.parametrize(
    ("word", "reading"),
    [
        ("汉语拼音", "han yu pin yin"),
        ("绿色旅行", "lü se lü xing"),
        ("女战略家", "nü zhan lüe jia"),
        ("房间很干净", "fang jian hen gan jing"),
        ("服务热情", "fu wu re qing"),
        ("翰墨", "han mo"),
        ("坏坯子", "huai pi zi"),
        ("做作", "zuo zuo"),
        ("啊", "a"),
    ],
)
def test_readings(word: str, reading: str) -> None:
    assert " ".join(str(syllable(character)) for character in word) == reading


@pytest.mark.parametrize("character", ["a", "，", "龘", "語", "", "汉字"])
def test_what_has_no_reading_here(character: str) -> None:
    assert syllable(character) is None
    assert homophones(character) == ""


def test_homophones_are_the_others_of_a_syllable() -> None:
    assert set(homophones("他")) == set("塌她它塔獭挞蹋踏")
    assert all(syllable(other) == "shi" and other != "是" for other in homophones("是"))
    assert "是" in homophones("事")


def test_all_of_level_1_has_a_reading() -> None:
    codes = [bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    characters = [code.decode("gb2312") for code in codes if not (code[0] == 0xD7 and code[1] > 0xF9)]
    readings = [syllable(character) for character in characters]
    assert len(readings) == 3755
    assert None not in readings
    # each syllable is one stretch, and they stand in the order of the alphabet
    starts = [reading for number, reading in enumerate(readings) if number == 0 or readings[number - 1] != reading]
    assert len(starts) == len(set(starts)) == 397
    plain = [str(start).replace("ü", "u") for start in starts]
    assert plain == sorted(plain)
