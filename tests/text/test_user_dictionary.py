"""Words of one's own: found by jieba, kept whole, told from the words of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.text.part_of_speech import tag_chinese
from hanmo.text.segment import segment
from hanmo.text.user_dictionary import UserDictionary, read_user_words


@pytest.fixture(scope="module")
def dictionary() -> UserDictionary:
    return UserDictionary({"翰墨工具包": None, "笑道": 20_000, "C++语言": None, "GPT-4.5": 3, "AI": None})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("用翰墨工具包训练", "用 翰墨工具包 训练"),
        ("宝玉笑道", "宝玉 笑道"),
        ("学C++语言吗", "学 C++语言 吗"),
        ("GPT-4.5好", "GPT-4.5 好"),
        ("GPT-4.55", "GPT-4 . 55"),  # another word, which goes on
        ("PAIR, AI", "PAIR , AI"),
        ("", ""),
    ],
)
def test_words_of_ones_own(dictionary: UserDictionary, text: str, words: str) -> None:
    assert segment(text, dictionary) == words.split()


def test_they_are_nobody_elses(dictionary: UserDictionary) -> None:
    assert "翰墨工具包" in segment("用翰墨工具包训练", dictionary)
    assert "翰墨工具包" not in segment("用翰墨工具包训练")
    assert "翰墨工具包" not in segment("用翰墨工具包训练", UserDictionary({"工具": 5}))


def test_tags(dictionary: UserDictionary) -> None:
    assert [word for word, _ in tag_chinese("用翰墨工具包学C++语言。", dictionary)] == [
        "用", "翰墨工具包", "学", "C++语言", "。",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [{"": None}, {"两 个": None}, {"好": 0}, {"好": 10**10}])
def test_what_is_no_word(words: dict[str, int | None]) -> None:
    with pytest.raises(DataError):
        UserDictionary(words)


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "词典.txt"
    path.write_text("\ufeff翰墨 100 n\n\n云计算 3\n小红书 nz\nGPT-4\n", encoding="utf-8")
    assert read_user_words(path) == {"翰墨": 100, "云计算": 3, "小红书": None, "GPT-4": None}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("好\n一 句 长 话\n".encode(), r"txt:2: 4 fields"),
        ("好 0\n".encode(), r"txt:1: the frequency"),
        ("好".encode("gbk"), "UTF-8"),
    ],
)
def test_a_bad_file(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "d.txt"
    path.write_bytes(data)
    with pytest.raises((FormatError, DataError), match=message):
        read_user_words(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_user_words(tmp_path / "none.txt")
