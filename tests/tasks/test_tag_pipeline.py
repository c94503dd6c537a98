"""What of a text is a word to a tagger."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.tasks.tag_pipeline import Word, cut_words
from hanmo.tokenizers.words import train_words


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


SPLIT = [["anna", "likes", "rome"], ["李", "白", "去", "了", "长", "安"]]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tagger")
    tokenizer = train_words([" ".join(words) for words in SPLIT], 100)
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "labels": labels}
    torch.manual_seed(3)
    write_model(folder, bert(BertConfig.model_validate(shape | {"init_std": 1.0}), "BertForTokenClassification"))
    tokenizer.save(folder)
    return folder


@pytest.mark.parametrize("strategy", ["none", "simple"])
def test_words_that_are_split(tagger: Path, strategy: str) -> None:
    """As in transformers, whose tokens are words here; it counts places in the text that the delimiter makes."""
    ours = hanmo.pipeline("ner", tagger, device="cpu", is_split_into_words=True, aggregation_strategy=strategy)
    theirs = transformers.pipeline("ner", str(tagger), device="cpu", aggregation_strategy=strategy)
    for delimiter in (" ", ""):
        found = ours(SPLIT, delimiter=delimiter)
        for mine, words in zip(found, SPLIT, strict=True):
            text = delimiter.join(words)
            assert mine
            assert all(text[one["start"] : one["end"]] == one["word"] for one in mine)
        if delimiter:
            wanted = theirs(SPLIT, is_split_into_words=True, delimiter=delimiter)
            keys = ("entity", "start", "end") if strategy == "none" else ("entity_group", "start", "end")
            for mine, other in zip(found, wanted, strict=True):
                assert [tuple(one[key] for key in keys) for one in mine] == [
                    tuple(one[key] for key in keys) for one in other
                ]
                assert [one["score"] for one in mine] == pytest.approx([one["score"] for one in other], abs=1e-5)
    plain = hanmo.pipeline("ner", tagger, device="cpu", aggregation_strategy=strategy)
    assert plain(" ".join(SPLIT[0])) == ours(SPLIT[:1])[0]


def test_words_and_texts_are_told_apart(tagger: Path) -> None:
    pipe = hanmo.pipeline("ner", tagger, device="cpu")
    with pytest.raises(DataError, match="a text where a list of words belongs"):
        pipe(["anna", "likes"], is_split_into_words=True)
    with pytest.raises(DataError, match="a list of words"):
        pipe(SPLIT)
    with pytest.raises(DataError, match="no list of words"):
        pipe([["李", " "]], is_split_into_words=True)
    with pytest.raises(ConfigError, match=r"no option 'stride'.*windows that overlap"):
        pipe("李白", stride=4)
