from __future__ import annotations

import builtins
import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import HanmoError
from hanmo.text import segment as module
from hanmo.text.segment import is_segmented, segment, words_of_lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("宝玉笑道：“我昨儿来的。”", "宝玉 笑 道 ： “ 我 昨儿 来 的 。 ”"),
        ("我来到北京清华大学", "我 来到 北京 清华大学"),
        ("他说 don't，我说 it's fine.", "他 说 don't ， 我 说 it's fine ."),
        ("我don't知道", "我 don't 知道"),
        ("一件T恤和B超", "一件 T恤 和 B超"),
        ("state-of-the-art, e.g. U.S. C++ C#", "state-of-the-art , e.g. U.S. C++ C#"),
        ("用C++写，用C#写，学C++", "用 C++ 写 ， 用 C# 写 ， 学 C++"),
        ("3.14 12:30 1,000米", "3.14 12:30 1,000 米"),
        ("等等……——是吗？！", "等等 …… —— 是 吗 ？ ！"),
        ("naïve cafe\u0301 Über Привет", "naïve cafe\u0301 Über Привет"),
        ("word_2vec x2", "word_2vec x2"),
        ("\t 全角\u3000空格 \n", "全角 空格"),
        ("😀哈哈", "😀 哈哈"),
        ("", ""),
    ],
)
def test_segment(text: str, words: str) -> None:
    assert segment(text) == words.split(" ") if words else segment(text) == []


@given(st.text(st.sampled_from("我们北京大学ab C1.'-…，。\n\u3000é+#"), max_size=40))
def test_nothing_is_lost(text: str) -> None:
    words = segment(text)
    assert "".join(words) == "".join(text.split())
    assert all(words)
    assert not any(char.isspace() for word in words for char in word)


def test_lines_are_a_stream() -> None:
    def lines() -> Any:
        yield "红楼梦\n"
        yield "  \n"
        yield "a novel\n"
        raise AssertionError("read too far")

    found = words_of_lines(lines())
    assert [next(found), next(found)] == [["红楼梦"], ["a", "novel"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("宝玉 笑 道 ： “ 我 来 了 。 ”", True),
        ("宝玉笑道：“我来了。”", False),
        ("宝玉笑道 我来了 是这样的", False),
        ("the cat sat on the mat , and <unk> slept .", True),
        ("The cat sat on the mat, and then it slept.", False),
        ("anarchism originated as a term of abuse", True),
        ("", True),
    ],
)
def test_is_segmented(text: str, expected: bool) -> None:
    assert is_segmented(text) is expected


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "rjieba":
            raise ImportError("no such thing")
        return real(name, *rest)

    module.load_rjieba.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    try:
        assert segment("plain English") == ["plain", "English"]
        with pytest.raises(HanmoError, match=r"'rjieba'.*pip install rjieba"):
            segment("中文")
    finally:
        module.load_rjieba.cache_clear()


def test_a_novel(data_root: Path) -> None:
    with gzip.open(data_root / "chinese_novels" / "红楼梦.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read(200_000)
    words = segment(text)
    assert "".join(words) == "".join(text.split())
    assert not is_segmented(text)
    assert is_segmented(" ".join(words))
    assert 1.2 < len("".join(words)) / len(words) < 2
