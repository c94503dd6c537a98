"""Rows that point at answers, and their loss."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from hanmo.batches.padded_rows import collate
from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.qa_examples import QaExample
from hanmo.tasks.qa_learning import encode_questions, fills_of_questions, pointing_loss
from hanmo.tasks.qa_settings import AnswerSettings
from hanmo.tasks.question_answerer import span_architecture
from hanmo.tokenizers.tokenizer import Tokenizer
from tiny_reader import CHINESE, ENGLISH, write_reader


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.load(write_reader(tmp_path_factory.mktemp("reader")))


def example(context: str, *answers: str) -> QaExample:
    spans = tuple((context.index(answer), context.index(answer) + len(answer)) for answer in answers)
    return QaExample("1", "Who wrote 谁写?", context, answers, spans, "a", "file: 1")


def encode(tokenizer: Tokenizer, *examples: QaExample, n_segments: int = 2, **settings: Any) -> Any:
    config = SimpleNamespace(n_segments=n_segments, max_len=512)
    return encode_questions(examples, tokenizer, config, AnswerSettings(**settings), seed=0)


def pointed(tokenizer: Tokenizer, row: dict[str, Any], side: str) -> list[str]:
    return [
        tokenizer.decode([id_], skip_special=False)
        for id_, label in zip(row["input_ids"], row[side], strict=True)
        if label == 1
    ]


def test_labels(tokenizer: Tokenizer) -> None:
    rows, notes = encode(
        tokenizer, example(ENGLISH, "Dr. Zürcher", "Zürcher"), example(CHINESE, "北京大学"), example(CHINESE)
    )
    assert not notes
    assert pointed(tokenizer, rows[0], "starts") == ["dr", "zur"]
    assert pointed(tokenizer, rows[0], "ends") == ["##cher"]
    assert (pointed(tokenizer, rows[1], "starts"), pointed(tokenizer, rows[1], "ends")) == (["北"], ["学"])
    assert pointed(tokenizer, rows[2], "starts") == pointed(tokenizer, rows[2], "ends") == ["[CLS]"]
    for row in rows:  # nothing but the text and [CLS] may be pointed at
        first = row["token_type_ids"].index(1)
        assert row["starts"][1:first] == [-100] * (first - 1)
        assert row["starts"][-1] == -100
        assert -100 not in row["starts"][first:-1]


def test_windows(tokenizer: Tokenizer) -> None:
    long = " ".join([ENGLISH] * 4)
    answer = example(long, "1987", "Dr. Zürcher")
    rows, _ = encode(tokenizer, answer, window=32, overlap=8, empty_windows=100)
    full = [row for row in rows if pointed(tokenizer, row, "starts") != ["[CLS]"]]
    empty = [row for row in rows if pointed(tokenizer, row, "starts") == ["[CLS]"]]
    assert len(full) < 3 < len(empty)
    fewer, notes = encode(tokenizer, answer, window=32, overlap=8, empty_windows=2)
    assert len(fewer) == len(full) + 2
    assert notes == {
        "windows without the answer that are not learned": len(empty) - 2,
        "training questions have a text that is read in windows": 1,
    }
    assert fewer == encode(tokenizer, answer, window=32, overlap=8, empty_windows=2)[0]
    _, notes = encode(tokenizer, example(long, long[:300]), window=32, overlap=8)
    assert notes == {
        "training questions left out because no window holds their answer whole": 1,
        "training questions have a text that is read in windows": 1,
    }
    _, notes = encode(tokenizer, answer, max_answer_len=2)
    assert notes == {"training answers longer than max_answer_len, which will not be found": 1}


def test_a_question_that_is_too_long_is_named(tokenizer: Tokenizer) -> None:
    long = QaExample("2", "the " * 20, ENGLISH, (), (), "a", "questions.json: data[0] (id 2)")
    with pytest.raises(
        DataError, match=r"questions\.json: data\[0\] \(id 2\): a question of 20 tokens leaves too little"
    ):
        encode(tokenizer, example(ENGLISH, "1987"), long, window=32, overlap=8)


def test_words_of_the_question_are_told(tokenizer: Tokenizer) -> None:
    ((row,), _) = encode(tokenizer, example("The teacher WROTE 写信.", "teacher"), n_segments=3)
    tokens = [tokenizer.decode([id_], skip_special=False) for id_ in row["input_ids"]]
    assert {token for token, kind in zip(tokens, row["token_type_ids"], strict=True) if kind == 2} == {"wrote", "写"}
    assert "token_type_ids" not in encode(tokenizer, example(ENGLISH, "1987"), n_segments=0)[0][0]


def test_the_loss() -> None:
    """With one answer cross-entropy over the text and [CLS]; with two their probabilities together."""
    torch.manual_seed(0)
    start, end = torch.randn(2, 5), torch.randn(2, 5)
    rows = [
        {"input_ids": [1, 2, 3, 4, 5], "starts": [0, -100, 0, 1, 0], "ends": [0, -100, 0, 0, 1]},
        {"input_ids": [1, 2, 3, 4], "starts": [0, -100, 1, 1], "ends": [0, -100, 0, 1]},
    ]
    batch = collate(rows, fills_of_questions(0))

    def model(input_ids: Any, attention_mask: Any) -> Any:
        return SimpleNamespace(start_logits=start, end_logits=end)

    loss, n = pointing_loss(model, batch)  # pyright: ignore[reportArgumentType]
    keep = torch.tensor([0, 2, 3, 4])
    first = (F.cross_entropy(start[0, keep], torch.tensor(2)) + F.cross_entropy(end[0, keep], torch.tensor(3))) / 2
    probabilities = start[1, keep[:3]].softmax(-1)
    second = (-(probabilities[1] + probabilities[2]).log() + F.cross_entropy(end[1, keep[:3]], torch.tensor(2))) / 2
    assert n == 2
    torch.testing.assert_close(loss, first + second)


def test_impossible_settings() -> None:
    with pytest.raises(ValueError, match="more than half of window"):
        AnswerSettings(window=64, overlap=33)
    with pytest.raises(ConfigError, match="no head for answers"):
        span_architecture(["CNNForSequenceClassification"])
