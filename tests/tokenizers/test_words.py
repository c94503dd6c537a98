"""Tokenizers of whole words, and windows over long texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.framed import encode_framed, encode_windows
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.word_rows import encode_words
from hanmo.tokenizers.words import train_words

TEXTS = ["The plot is thin, but the cast is fine.", "房间很干净，服务员很热情。", "The room is fine"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_words(TEXTS, 100)


def test_words_and_characters(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("THE room: 房间")
    assert [tokenizer.decode([token], skip_special=False) for token in ids] == ["the", "room", "[UNK]", "房", "间"]
    kept = train_words(TEXTS, 8)  # 5 special tokens and the 3 most frequent words
    assert {kept.decode([token]) for token in range(5, 8)} == {"the", "is", "fine"}
    assert train_words(TEXTS, 100, min_count=2).vocab_size == 5 + len({"the", "is", "fine", "很"})
    assert "The" in [train_words(TEXTS, 100, lowercase=False).decode([token]) for token in range(5, 20)]


def test_same_text_same_file(tokenizer: Tokenizer) -> None:
    assert train_words(iter(TEXTS), 100).definition == tokenizer.definition


def test_transformers_reads_it(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for texts in (("房间 is thin.",), ("the cast", "服务员")):
        framed = encode_framed(tokenizer, [texts if len(texts) == 2 else texts[0]])[0]
        expected = theirs(*texts)
        assert framed.ids == expected["input_ids"]


def test_refused() -> None:
    with pytest.raises(ConfigError, match="vocab_size 5"):
        train_words(TEXTS, 5)
    with pytest.raises(DataError, match="no text"):
        train_words(["", "  "], 50)
    with pytest.raises(DataError, match="no word is seen 9 times"):
        train_words(TEXTS, 50, min_count=9)


def test_windows_cover_all_of_a_text(tokenizer: Tokenizer) -> None:
    text = "the room is fine 房间很干净 " * 5
    whole = tokenizer.encode(text)
    short, rows = encode_windows(tokenizer, ["the room", text], max_len=12, overlap=3)
    assert [row.ids for row in short] == [encode_framed(tokenizer, ["the room"])[0].ids]
    first, last = rows[0].ids[0], rows[0].ids[-1]
    joined: list[int] = []
    for row in rows:
        assert len(row.ids) <= 12
        assert (row.ids[0], row.ids[-1]) == (first, last)
        inner = row.ids[1:-1]
        assert not joined or joined[-3:] == inner[:3]
        joined += inner[3:] if joined else inner
    assert joined == whole
    assert len(encode_windows(tokenizer, [text], max_len=None, overlap=3)[0]) == 1


def test_windows_of_pairs(tokenizer: Tokenizer) -> None:
    long, short = "the room is fine " * 6, "房间"
    for pair in ((long, short), (short, long)):
        rows = encode_windows(tokenizer, [pair], max_len=14, overlap=2)[0]
        assert len(rows) > 2
        for row in rows:
            assert len(row.ids) <= 14
            assert set(tokenizer.encode(short)) <= set(row.ids)
            assert set(row.token_type_ids) == {0, 1}
    with pytest.raises(DataError, match="both texts of a pair are long"):
        encode_windows(tokenizer, [(long, long)], max_len=14, overlap=2)
    with pytest.raises(ConfigError, match="no room"):
        encode_windows(tokenizer, [long], max_len=2, overlap=2)


def test_words_that_are_cut_already() -> None:
    tokenizer = train_words(["U.S. rates rose , said Li", "中国 的 经济"], 100, lowercase=False, cut=False)
    (row,), (blank,) = encode_words(
        tokenizer, [["U.S.", "rates", "fell", "中国"], ["said", " ", "Li"]], max_len=None, overlap=0
    )
    assert [tokenizer.decode([token], skip_special=False) for token in row.ids] == [
        "[CLS]", "U.S.", "rates", "[UNK]", "中国", "[SEP]",
    ]  # fmt: skip
    assert row.first == {0: 1, 1: 2, 2: 3, 3: 4}
    # a word that the tokenizer makes nothing of is not lost
    assert blank.first == {0: 1, 1: 2, 2: 3}
    assert tokenizer.decode([blank.ids[2]], skip_special=False) == "[UNK]"
    assert encode_words(tokenizer, [[]], max_len=8, overlap=2)[0][0].first == {}


def test_windows_of_words_answer_for_each_word_once() -> None:
    tokenizer = train_words(["中 国 经 济 a b c d e f g"], 100)
    words = [*"中国经济abcdefg", "abc"] * 4
    for max_len, overlap in ((10, 3), (7, 50), (100, 3)):
        (rows,) = encode_words(tokenizer, [words], max_len=max_len, overlap=overlap)
        assert all(len(row.ids) <= max_len for row in rows)
        places = [(word, row.ids[row.first[word]]) for row in rows for word in row.own]
        assert sorted(word for word, _ in places) == list(range(len(words)))
        by_itself = encode_words(tokenizer, [[word] for word in words], max_len=None, overlap=0)
        assert all(token == by_itself[word][0].ids[1] for word, token in places)
    with pytest.raises(ConfigError, match="leaves no room"):
        encode_words(tokenizer, [words], max_len=2, overlap=0)
    with pytest.raises(DataError, match="text 1"):
        encode_words(tokenizer, [["a"], ["\ud800"]], max_len=None, overlap=0)


def test_a_tokenizer_without_segments() -> None:
    pair = [("a b", "b c")]
    told, untold = (train_words(["a b c"], 20, segments=segments) for segments in (True, False))
    assert encode_framed(told, pair)[0].token_type_ids == [0, 0, 0, 0, 1, 1, 1]
    assert encode_framed(untold, pair)[0].token_type_ids == [0] * 7
    assert encode_framed(untold, pair)[0].ids == encode_framed(told, pair)[0].ids
    assert untold.config["model_input_names"] == ["input_ids", "attention_mask"]
