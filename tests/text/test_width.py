"""Full and half width: which characters change, and that they change back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError
from hanmo.text.width import WidthKind, to_full_width, to_half_width

ALL: tuple[WidthKind, ...] = ("letters", "digits", "punctuation", "space")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("letters", "digits"), "Hanmo，2026年\u3000好！"),
        (("punctuation",), "Ｈａｎｍｏ,２０２６年\u3000好!"),
        (("space",), "Ｈａｎｍｏ，２０２６年 好！"),
        ((), "Ｈａｎｍｏ，２０２６年\u3000好！"),
        (ALL, "Hanmo,2026年 好!"),
    ],
)
def test_half(kinds: tuple[WidthKind, ...], expected: str) -> None:
    assert to_half_width("Ｈａｎｍｏ，２０２６年\u3000好！", kinds) == expected


def test_what_has_no_other_width_stays() -> None:
    assert to_half_width("。、“”《》￥·", ALL) == "。、“”《》￥·"
    assert to_half_width("ｶﾅ", ALL) == "ｶﾅ"


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_there_and_back(text: str) -> None:
    full = to_full_width(text, ALL)
    assert to_half_width(full, ALL) == text
    assert unicodedata.normalize("NFKC", full) == text
    assert not any(character.isascii() for character in full)


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError, match=r"'kana'.*letters, digits"):
        to_half_width("Ａ", ["kana"])  # pyright: ignore[reportArgumentType]
