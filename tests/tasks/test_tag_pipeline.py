"""What of a text is a word to a tagger."""

from __future__ import annotations

import pytest

from hanmo.tasks.tag_pipeline import Word, cut_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I don't like state-of-the-art U.N. taggers.", "I don't like state-of-the-art U.N . taggers ."),
        ('"Hello", she said (twice).', '" Hello " , she said ( twice ) .'),
        ("Bob lives in New York .", "Bob lives in New York ."),
        # words that white space separates
        ("我 喜欢 看书 。", "我 喜欢 看书 。"),
        ("北京大学 的 卡拉OK 比赛 ， 3.14 分 。", "北京大学 的 卡拉OK 比赛 ， 3.14 分 。"),
        ("李白 去 了 New York .", "李白 去 了 New York ."),
        ("Bob lives in 北京 .", "Bob lives in 北京 ."),
        ("列夫·托尔斯泰 是 作家", "列夫 · 托尔斯泰 是 作家"),
        ("\u3000我\u3000喜欢\n看书\t。", "我 喜欢 看书 。"),
        # running text
        ("我喜欢看书。", "我 喜欢 看书 。"),
        ("今天天气", "今天天气"),  # a word of jieba's dictionary
        ("我喜欢", "我 喜欢"),  # no longer than words may be, but nothing separates them
        ("他在北京的 Apple 公司工作，don't you know？", "他 在 北京 的 Apple 公司 工作 ， don't you know ？"),
        ("看书。 看书。", "看书 。 看书 。"),
        ("", ""),
        (" \n", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    found = cut_words(text, "word")
    assert [word.text for word in found] == words.split()
    assert [text[word.start : word.end] for word in found] == words.split()


def test_characters() -> None:
    assert cut_words("看书 ok", "character") == [
        Word("看", 0, 1), Word("书", 1, 2), Word("o", 3, 4), Word("k", 4, 5),
    ]  # fmt: skip
