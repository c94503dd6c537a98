"""Questions with their texts: which characters each token stands for, in windows that cover all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import transformers

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.context_rows import ContextRow, encode_contexts
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words
from tiny_reader import CHINESE, ENGLISH, PAIRS, write_reader

AWKWARD = "İstanbul’s ﬁne cafe\u0301,\u200b  naïve 👩‍👩‍👧‍👦🇨🇳 Straße ½ 北京大学，ＡＢＣ　3.14！𠮷"


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.load(write_reader(tmp_path_factory.mktemp("reader")))


def every(wordpiece: Tokenizer) -> list[Tokenizer]:
    texts = [ENGLISH, CHINESE, AWKWARD]
    return [wordpiece, train_words(texts, 200), train_bpe(texts * 3, 400)]


def shown(row: ContextRow, context: str) -> list[str]:
    return [context[start:end] for start, end in row.spans.tolist()]


def test_characters_of_tokens(wordpiece: Tokenizer) -> None:
    ((row,),) = encode_contexts(
        wordpiece, [("Where did İSTANBUL?", "in  İstanbul: ﬁ, cafe\u0301 👩‍👩‍👧 北京")], max_len=64, overlap=0
    )
    context = "in  İstanbul: ﬁ, cafe\u0301 👩‍👩‍👧 北京"
    assert shown(row, context) == ["in", "İs", "tan", "bul", ":", "ﬁ", ",", "cafe\u0301", "👩‍👩‍👧", "北", "京"]
    assert [context[a:b] for a, b in row.words[1:4].tolist()] == ["İstanbul"] * 3
    assert row.shared.tolist() == [False, True, True, True, *[False] * 7]
    assert row.none == 0
    assert wordpiece.decode(row.ids[:1], skip_special=False) == "[CLS]"
    assert wordpiece.decode([row.ids[row.first]]) == "in"
    assert row.token_type_ids == [0] * row.first + [1] * (len(row.ids) - row.first)


def test_words_that_the_question_has_too(wordpiece: Tokenizer) -> None:
    ((english,), (chinese,)) = encode_contexts(
        wordpiece,
        [("did the LETTER arrive?", "The letter arrived."), ("谁写的信", "老先生写信。")],
        max_len=64,
        overlap=0,
    )
    assert english.shared.tolist() == [True, True, False, False]
    assert chinese.shared.tolist() == [False, False, False, True, True, False]


@pytest.mark.parametrize("context", [ENGLISH, CHINESE, AWKWARD, AWKWARD * 3])
def test_windows_cover_all_of_a_text(wordpiece: Tokenizer, context: str) -> None:
    for tokenizer in every(wordpiece):
        question = "Where 在哪里?"
        ((whole,),) = encode_contexts(tokenizer, [(question, context)], max_len=1000, overlap=0)
        rows = encode_contexts(tokenizer, [(question, context)], max_len=34, overlap=5)[0]
        assert all(len(row.ids) <= 34 for row in rows)
        assert all(row.ids[: row.first] == whole.ids[: whole.first] for row in rows)
        spans = np.concatenate([rows[0].spans, *(row.spans[5:] for row in rows[1:])])
        assert spans.tolist() == whole.spans.tolist()
        for row in rows:
            assert len(row.spans) == len(row.words) == len(row.shared)
            assert row.ids[row.first : row.first + len(row.spans)] == [
                token for token, span in zip(whole.ids[whole.first :], whole.spans.tolist(), strict=False)
                if row.spans[0].tolist() <= span <= row.spans[-1].tolist()
            ][: len(row.spans)]  # fmt: skip
        # nothing but white space and signs that no one sees is between tokens
        ends = [0, *np.maximum.accumulate(whole.spans[:, 1]).tolist()]
        gaps = [context[end:start] for end, start in zip(ends, whole.spans[:, 0].tolist(), strict=False) if start > end]
        assert not "".join(gaps).replace("\u200b", "").strip()


def test_offsets_of_transformers(wordpiece: Tokenizer, tmp_path: Path) -> None:
    rival = transformers.AutoTokenizer.from_pretrained(write_reader(tmp_path))
    for question, context in PAIRS:
        theirs = rival(
            question, context, max_length=24, stride=6, truncation="only_second", return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )  # fmt: skip
        ours = encode_contexts(wordpiece, [(question, context)], max_len=24, overlap=6)[0]
        assert [row.ids for row in ours] == theirs["input_ids"]
        for number, row in enumerate(ours):
            kept = [
                s
                for s, side in zip(theirs["offset_mapping"][number], theirs.sequence_ids(number), strict=True)
                if side == 1
            ]
            assert row.spans.tolist() == [list(span) for span in kept]


def test_what_cannot_be(wordpiece: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"text 1: a question of 10 tokens leaves too little of 16"):
        encode_contexts(wordpiece, [("the", ENGLISH), ("the " * 10, ENGLISH)], max_len=16, overlap=2)
    assert len(encode_contexts(wordpiece, [("the " * 10, "a")], max_len=16, overlap=2)[0]) == 1
    with pytest.raises(ConfigError, match="leaves no room"):
        encode_contexts(wordpiece, [("the", ENGLISH)], max_len=3, overlap=2)
    with pytest.raises(DataError, match="text 0"):
        encode_contexts(wordpiece, [("the", "\ud800")], max_len=16, overlap=2)
    ((row,),) = encode_contexts(wordpiece, [("the", "\u200b")], max_len=16, overlap=2)
    assert len(row.spans) == 0
