from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.text.repair import fix_mojibake, normalise, repair

CHINESE = "他说：“你好，世界！今天（真的）天气很好。”"


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        (CHINESE.encode().decode("latin-1"), CHINESE),
        ("café déjà vu – naïve".encode().decode("latin-1"), "café déjà vu – naïve"),
        ("schÃ¶n ist es", "schön ist es"),
        ("æ‰‹", "手"),
        ("浣犲ソ", "你好"),
        ("前面 锛堢湡鐨勶級 end", "前面 （真的） end"),
        ("今天天气很好".encode().decode("gb18030"), "今天天气很好"),
    ],
)
def test_mojibake_is_turned_back(broken: str, whole: str) -> None:
    assert fix_mojibake(broken) == (whole, 1)


@pytest.mark.parametrize(
    "clean",
    [
        CHINESE,
        "“Curly quotes” stay — so do ligatures: ﬁne, &amp; entities",
        "Ｆｕｌｌ，ｗｉｄｔｈ！",
        "两个生僻字：鐨、鏄，以及鍥",
        "浜杩在广西，涓浗",
        "Müller, déjà vu, São Paulo, Ã is a letter",
        "日本語のテキスト、ソフト",
    ],
)
def test_clean_text_is_untouched(clean: str) -> None:
    assert repair(clean).text == clean
    assert repair(clean).n_mojibake == 0


def test_only_the_broken_line_changes() -> None:
    text, count = fix_mojibake("第一行，没有问题。\n浣犲ソ\nplain")
    assert text == "第一行，没有问题。\n你好\nplain"
    assert count == 1


def test_control_characters_and_line_ends() -> None:
    assert normalise("a\r\nb\rc\x00\x07d\te\ufeff\x85中\u2028文") == ("a\nb\ncd\te\n中\n文", 3)
    assert normalise("e\u0301，Ａ")[0] == "é，Ａ"


def test_lone_surrogates_are_removed() -> None:
    repair("a\ud800b中").text.encode("utf-8")


def test_code_is_not_altered() -> None:
    source = 's = "\\x00 \ufeff schÃ¶n 浣犲ソ e\u0301"\n\x0c\nt = "\x1b[0m"\n'
    assert repair(source, code=True).text == source
    assert repair(source).text != source
    assert repair("a = 1\r\nb = 2\r", code=True).text == "a = 1\nb = 2\n"


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_repair_gives_clean_encodable_text_and_is_stable(text: str) -> None:
    once = repair(text).text
    once.encode("utf-8")
    assert unicodedata.is_normalized("NFC", once)
    assert not any(char in once for char in "\r\x00\ufeff")
    assert normalise(once) == (once, 0)
