"""Both forms of the counts against the definition, written plainly."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.quality.characters import CHARS_PER_WORD, Characters, WordCounts, count_in_array, count_in_string
from hanmo.text.han import count_characters

TEXTS = st.text(
    alphabet=st.characters() | st.sampled_from("的是山水，。！ \n\u3000a1b é#٣カ한𠮷\U00030000\U00040000\ud800"),
    max_size=60,
)
MARKS = set(",.;:!?'\"()-，。、；：！？“”‘’（）《》〈〉「」『』【】…—–·～．")

FUNCTION = "的了是在不我有和这這他她就也都而之其以与與于於着著被把让讓从從到对對会會可但因所为為个個们們那说說得很还還没沒要你者乃曰矣焉何"


def kind(char: str, is_spaceless: bool) -> str:
    point = ord(char)
    if 0x20000 <= point < 0x40000:
        return "wide" if is_spaceless else "symbol"
    if point > 0xFFFF:
        return "symbol"
    if 0x3040 <= point <= 0x30FF or 0x3400 <= point <= 0x4DBF or 0x4E00 <= point <= 0x9FFF or 0xF900 <= point <= 0xFAFF:
        return "wide"
    if char in MARKS:
        return "mark"
    return "space" if char.isspace() else "letter" if char.isalpha() else "digit" if char.isalnum() else "symbol"


def plain_words(text: str, is_spaceless: bool) -> WordCounts:
    if not is_spaceless:
        words = text.split()
        held = [any(kind(char, False) in ("letter", "wide") for char in word) for word in words]
        n = max(len(words), 1)
        return WordCounts(len(words), sum(map(len, words)) / n, sum(held) / n)
    kinds = [kind(char, True) for char in text]
    runs = [name for name, _ in itertools.groupby(kinds)]
    n_letters, n_digits, n_wide = runs.count("letter"), runs.count("digit"), kinds.count("wide")
    inside = [name in ("letter", "digit", "wide") for name in kinds]
    n_stretches = sum(is_inside for is_inside, _ in itertools.groupby(inside))
    units = n_wide + n_letters + n_digits + kinds.count("symbol")
    return WordCounts(
        n_wide / CHARS_PER_WORD + n_letters + n_digits,
        sum(inside) / max(n_stretches, 1),
        (n_wide + n_letters) / max(units, 1),
    )


def counted(characters: Characters) -> tuple[int, ...]:
    found = characters
    return found.n, found.n_space, found.n_han, found.n_kana, found.n_wide_letters, found.n_letters


@given(TEXTS)
def test_both_forms_equal_the_plain_definition(text: str) -> None:
    plain = count_characters(text)
    expected = plain.total, plain.space, plain.han, plain.kana, plain.han + plain.kana + plain.hangul, plain.letters
    for characters in (count_in_array(text), count_in_string(text)):
        assert counted(characters) == expected
        assert characters.words(True) == plain_words(text, True)
        assert characters.words(False) == plain_words(text, False)
        assert characters.function_share == sum(map(FUNCTION.count, text)) / max(plain.han, 1)


@pytest.mark.parametrize("count", [count_in_array, count_in_string])
def test_a_sentence(count: Callable[[str], Characters]) -> None:
    chinese = count("他的 iPhone 15 很贵。")
    assert chinese.words(True) == WordCounts(4 / 1.6 + 2, 12 / 4, 5 / 6)
    assert chinese.function_share == 3 / 4
    assert count("two words 12").words(False) == WordCounts(3, 10 / 3, 2 / 3)
