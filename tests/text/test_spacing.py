"""Blanks of tokenized corpora."""

from __future__ import annotations

import pytest

from hanmo.text.spacing import tidy_spacing


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("Say , Jim , how about it ?", "Say, Jim, how about it?"),
        ("I ’ m sure you don ’ t . Let ' s go !", "I'm sure you don't. Let's go!"),
        ("you are right.But what ( then ) ?", "you are right. But what (then)?"),
        ("你 好 ， 世 界 。", "你好，世界。"),
        ("打 包 2 斤 牛 油 ， 2 0 元", "打包 2 斤牛油，20 元"),
        ("我 用 Python 写", "我用 Python 写"),
        ("  already fine.  ", "already fine."),
        ("", ""),
    ],
)
def test_blanks_go_where_they_belong(given: str, tidy: str) -> None:
    assert tidy_spacing(given) == tidy
    assert tidy_spacing(tidy) == tidy
