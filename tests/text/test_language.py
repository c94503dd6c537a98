from __future__ import annotations

import pytest

from hanmo.text.han import count_characters
from hanmo.text.language import guess_language


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("这是 Python 的 transformers 库的说明文档", "zh"),
        ("學而時習之，不亦說乎？", "zh"),
        ("你好", "zh"),
        ("The history of the city is long, and it was written down by many of its people over the years.", "en"),
        ("hello world", "en"),
        ("Le chat est sur la table et il ne veut pas descendre, mais je ne sais pas pourquoi il y reste là.", "other"),
        ("今日はいい天気ですね", "other"),
        ("안녕하세요 여러분", "other"),
        ("Привет, мир", "other"),
        ("12345 !!! ---", "und"),
        ("", "und"),
    ],
)
def test_guess(text: str, lang: str) -> None:
    assert guess_language(text) == lang
    assert guess_language(text, code=True) == "code"


def test_long_text_is_sampled_at_both_ends() -> None:
    assert guess_language("the cat is on a mat. " * 20_000) == "en"
    assert guess_language("这个地方的人都很好。" * 20_000) == "zh"


def test_counts() -> None:
    counts = count_characters("a1 é，中𠮷のЖ한\ufffd")
    assert (counts.latin, counts.digit, counts.space, counts.cjk_marks, counts.odd) == (2, 1, 1, 1, 1)
    assert (counts.han, counts.kana, counts.other_letters, counts.hangul, counts.frequent) == (2, 1, 1, 1, 1)
    assert counts.total == 11
