"""`hanmo.pipeline("question-answering")` answers as `transformers.pipeline` did while it had one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hanmo
from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError
from hanmo.tasks.predict_file import predict_file
from hanmo.tasks.qa_pipeline import QuestionAnsweringPipeline
from hanmo.tasks.qa_settings import AnswerSettings
from hanmo.tokenizers.context_rows import encode_contexts
from tiny_reader import CHINESE, ENGLISH, PAIRS, write_reader

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/question_answering/expected.json").read_text("utf-8"))
DICTS = [{"question": question, "context": context} for question, context in PAIRS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reader(tmp_path_factory.mktemp("reader"))


@pytest.fixture(scope="module")
def pipe(model: Path) -> QuestionAnsweringPipeline:
    return hanmo.pipeline("question-answering", model)


@pytest.mark.parametrize("run", GOLDEN["runs"], ids=lambda run: str(run["options"]))
def test_answers_of_transformers(pipe: Any, run: dict[str, Any]) -> None:
    assert rounded(pipe(DICTS, **run["options"])) == rounded(run["answers"])


def rounded(answer: Any) -> Any:
    if isinstance(answer, list):
        return [rounded(item) for item in answer]
    return answer | {"score": pytest.approx(answer["score"], rel=1e-4)}


def test_ways_to_ask(pipe: Any) -> None:
    (question, context), (other, another) = PAIRS[0], PAIRS[2]
    answer = pipe(question=question, context=context)
    assert answer == pipe(DICTS[0])
    assert context[answer["start"] : answer["end"]] == answer["answer"]
    # in a batch of another size scores may differ in their last bits
    for found, alone in zip(
        pipe(question=[question, other], context=[context, another]), (answer, pipe(DICTS[2])), strict=True
    ):
        assert found == alone | {"score": pytest.approx(alone["score"], rel=1e-5)}
    found = pipe(question=[question, other], context=context)[0]
    assert found == answer | {"score": pytest.approx(answer["score"], rel=1e-5)}
    assert pipe([]) == []


def test_a_stream_is_read_as_it_is_asked_for(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.tasks import pipeline

    monkeypatch.setattr(pipeline, "_AT_ONCE", 50)
    read = 0

    def questions() -> Iterator[dict[str, str]]:
        nonlocal read
        for number in range(1000):
            read += 1
            yield {"question": "Who?", "context": f"Teacher {number % 7}."}

    alone = pipe({"question": "Who?", "context": "Teacher 0."})
    assert next(pipe(questions())) == alone | {"score": pytest.approx(alone["score"], rel=1e-5)}
    assert 0 < read < 1000


def test_pieces_of_words(pipe: Any) -> None:
    question, context = PAIRS[0]
    words = [match.span() for match in re.finditer(r"\w+|[^\w\s]", context)]
    pieces = pipe(question=question, context=context, top_k=40, align_to_words=False)
    whole = {one["answer"].lower() for one in pipe(question=question, context=context, top_k=1000)}
    starts, ends = {a for a, _ in words}, {b for _, b in words}
    assert any(one["start"] not in starts or one["end"] not in ends for one in pieces)
    for one in pieces:
        assert context[one["start"] : one["end"]] == one["answer"]
        a = max(a for a in starts if a <= one["start"])
        b = min(b for b in ends if b >= one["end"])
        assert context[a:b].lower() in whole
    chinese = {"question": "谁？", "context": CHINESE}
    assert pipe(chinese, top_k=40, align_to_words=False) == pipe(chinese, top_k=40)


def test_windows(pipe: Any) -> None:
    """A long text is read whole: what is said of it is what the best of its windows says."""
    long = f"{ENGLISH} {CHINESE} {ENGLISH}"
    answers = pipe({"question": "Who?", "context": long}, max_seq_len=40, doc_stride=10, top_k=3)
    assert [long[one["start"] : one["end"]] for one in answers] == [one["answer"] for one in answers]
    assert all(0 < one["score"] <= 1 for one in answers)
    tokenizer = pipe.answerer.tokenizer
    rows = encode_contexts(tokenizer, [("Who?", long)], max_len=40, overlap=10)[0]
    assert len(rows) > 3
    parts = [long[row.spans[0][0] : row.spans[-1][1]] for row in rows]
    each = [pipe({"question": "Who?", "context": part}, top_k=3) for part in parts]
    best = max(one["score"] for found in each for one in found)
    assert answers[0]["score"] == pytest.approx(best, rel=1e-4)
    settings = AnswerSettings(window=40, overlap=10, max_answer_len=15)
    none = [found.none for found in pipe.answerer.find([("Who?", part) for part in parts])]
    (found,) = pipe.answerer.find([("Who?", long)], settings=settings)
    assert found.none == pytest.approx(min(none), rel=1e-4)


def test_no_answer(pipe: Any, model: Path) -> None:
    free = hanmo.pipeline("question-answering", model)
    none = free(DICTS[:2], handle_impossible_answer=True, top_k=500)
    doubts = [found.doubt for found in free.answerer.find(PAIRS[:2])]
    assert all(any(one["answer"] == "" for one in found) for found in none)
    free.answerer.settings = AnswerSettings(no_answer=max(doubts) + 0.1, max_answer_len=15)
    assert all(one["answer"] for one in free(DICTS[:2]))
    free.answerer.settings = AnswerSettings(no_answer=min(doubts) - 0.1, max_answer_len=15)
    assert [one["answer"] for one in free(DICTS[:2])] == ["", ""]
    assert [found[0]["answer"] for found in free(DICTS[:2], top_k=2)] == ["", ""]
    assert all(one["answer"] for one in free(DICTS[:2], handle_impossible_answer=False))
    assert free({"question": "Who?", "context": "\u200b"}) == {"score": 1.0, "start": 0, "end": 0, "answer": ""}


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        ("Who?", "a question without its text"),
        ({"question": "Who?"}, 'no text under "context"'),
        ({"question": " ", "context": "x"}, "an empty question"),
        ([{"question": "x", "context": ""}], "an empty context"),
        (["Who?"], "is no question with its text"),
        (None, "neither inputs nor a question"),
    ],
)
def test_refused(pipe: Any, inputs: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        pipe(inputs)


def test_options_that_make_no_sense(pipe: Any, tmp_path: Path) -> None:
    for options in ({"top_k": 0}, {"max_answer_len": 0}, {"max_seq_len": 3}, {"doc_stride": 300}):
        with pytest.raises(ConfigError):
            pipe(DICTS[0], **options)
    with pytest.raises(DataError, match="2 questions, but 1 texts"):
        pipe(question=["a", "b"], context=["c"])
    with pytest.raises(ModelError, match="does not point at answers"):
        hanmo.pipeline("question-answering", write_reader(tmp_path / "lm", "BertForMaskedLM"))
    folder = write_reader(tmp_path / "spoilt")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    for wrong in ({"window": 1}, "x"):
        (folder / "tokenizer_config.json").write_text(json.dumps(config | {"hanmo_answers": wrong}))
        with pytest.raises(FormatError, match="hanmo_answers"):
            hanmo.pipeline("question-answering", folder)(DICTS[0])


def test_a_file(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(one | {"id": n}) for n, one in enumerate(DICTS)))
    assert predict_file(pipe, tmp_path / "in.jsonl", tmp_path / "out.jsonl") == len(DICTS)
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [row["answer"] for row in found] == rounded(pipe(DICTS))
    for line, match in (
        ('{"question": "x"}', r"in\.jsonl:1"),
        ('{"question": "x", "context": "y", "answer": 1}', "already"),
    ):
        (tmp_path / "in.jsonl").write_text(line)
        with pytest.raises(DataError, match=match):
            predict_file(pipe, tmp_path / "in.jsonl", tmp_path / "other.jsonl")
