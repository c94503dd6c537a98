"""`hanmo.pipeline` answers as `transformers.pipeline` does; files are answered line by line and taken up again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.tasks.pipelines import TextClassificationPipeline
from hanmo.tasks.predict_file import predict_file
from hanmo.tokenizers.words import train_words

TEXTS = ["the film is fine", "房间很干净，服务很热情", "no", "a long and rather dull film, not fine at all"]


def write(folder: Path, architecture: str = "BertForSequenceClassification") -> Path:
    tokenizer = train_words(TEXTS, 100)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=16,
        n_layers=2,
        n_heads=2,
        max_len=64,
        labels=("NEGATIVE", "POSITIVE", "无"),
    )
    torch.manual_seed(1)
    model = bert(config, architecture)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    write_model(folder, model)
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def pipe(model: Path) -> TextClassificationPipeline:
    return hanmo.pipeline("sentiment-analysis", model)


PAIR = {"text": TEXTS[0], "text_pair": TEXTS[1]}


@pytest.mark.parametrize("inputs", [TEXTS[1], TEXTS, [TEXTS[0]], PAIR, [PAIR, PAIR]])
@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}])
def test_answers_of_transformers(pipe: Any, model: Path, inputs: Any, options: dict[str, Any]) -> None:
    theirs = transformers.pipeline("text-classification", str(model), device="cpu")(inputs, **options)
    assert rounded(pipe(inputs, **options)) == rounded(theirs)


@pytest.mark.parametrize("function", ["sigmoid", "softmax", "none"])
@pytest.mark.parametrize("more", [{}, {"top_k": 2}])
def test_functions_of_transformers(pipe: Any, model: Path, function: str, more: dict[str, Any]) -> None:
    theirs = transformers.pipeline("text-classification", str(model), device="cpu")
    for inputs in (TEXTS[1], TEXTS, PAIR):
        wanted = rounded(theirs(inputs, function_to_apply=function, **more))
        assert rounded(pipe(inputs, function_to_apply=function, **more)) == wanted
    with pytest.raises(ConfigError, match="there is no function 'tanh'"):
        pipe("很好", function_to_apply="tanh")
    with pytest.raises(ConfigError, match="function_to_apply and applying were both given"):
        pipe("很好", function_to_apply=function, applying=True)


def rounded(answer: Any) -> Any:
    if isinstance(answer, list):
        return [rounded(item) for item in answer]
    return {"label": answer["label"], "score": pytest.approx(answer["score"], abs=1e-5)}


def test_options_of_every_call(pipe: Any, model: Path) -> None:
    """As in transformers, given with the model, by a number of a device, and with what has to do with batches alone."""
    both = hanmo.pipeline("text-classification", model, device=-1, top_k=None, batch_size=8)
    assert both("很好") == pipe("很好", top_k=None)
    assert both(["很好", "差"], top_k=1, batch_size=1, padding=True) == pipe(["很好", "差"], top_k=1)
    assert list(both(iter(["很好"]), num_workers=2)) == pipe(["很好"], top_k=None)
    for options, match in (
        ({"truncation": True}, "no option 'truncation'.*windows.*never cut"),
        ({"topk": 2}, "TextClassificationPipeline: there is no option 'topk'. There are top_k, applying, function_to_apply"),
        ({"top_k": "x"}, "top_k = 'x' is no number"), ({"top_k": True}, "top_k = True"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=match):
            pipe("很好", **options)
        with pytest.raises(ConfigError, match=match):
            hanmo.pipeline("text-classification", model, **options)


def test_a_stream_is_read_as_it_is_asked_for(pipe: Any) -> None:
    read = 0

    def texts() -> Iterator[str]:
        nonlocal read
        for number in range(10_000):
            read += 1
            yield TEXTS[number % 4]

    answers = pipe(texts())
    assert next(answers) == pipe(TEXTS[:1])[0]
    assert 0 < read < 10_000


def test_refused(pipe: Any, model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no task 'translate'"):
        hanmo.pipeline("translate", model)
    with pytest.raises(ModelError, match="does not tell classes"):
        hanmo.pipeline("text-classification", write(tmp_path, "BertForMaskedLM"))
    for wrong in (7, [7], [{"pair": "x"}], {"text": "a", "text_pair": 3}):
        with pytest.raises(DataError, match="text"):
            pipe(wrong)
    with pytest.raises(ConfigError, match="top_k = 0"):
        pipe("fine", top_k=0)
    assert pipe([]) == []


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_file(pipe: Any, tmp_path: Path) -> None:
    records = [{"id": number, "text": text} for number, text in enumerate(TEXTS)] + [PAIR]
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(gzip.compress("\n".join(json.dumps(record) for record in records).encode()))
    out = tmp_path / "new" / "out.jsonl"
    assert predict_file(pipe, source, out) == 5
    found = lines(out)
    assert [{key: row[key] for key in row if key != "answer"} for row in found] == records
    assert [row["answer"]["label"] for row in found[:4]] == [answer["label"] for answer in pipe(TEXTS)]
    (tmp_path / "in.txt").write_text("\n".join(TEXTS) + "\n\n", encoding="utf-8")
    assert predict_file(pipe, tmp_path / "in.txt", out, top_k=None) == 4
    assert [len(row["answer"]) for row in lines(out)] == [3] * 4


def test_a_stopped_file_goes_on(pipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(json.dumps({"text": f"{TEXTS[number % 4]} {number}"}) for number in range(20)))
    # for both: products of other sizes may differ in their last bits
    monkeypatch.setattr(type(pipe), "at_once", 6)
    predict_file(pipe, source, tmp_path / "whole.jsonl")

    class Stops:
        calls = 0
        answer_key = "answer"
        at_once = pipe.at_once
        read = staticmethod(pipe.read)
        checked = staticmethod(pipe.checked)

        def answers(self, texts: list[Any], **options: Any) -> list[Any]:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return pipe.answers(texts, **options)

    with pytest.raises(KeyboardInterrupt):
        predict_file(Stops(), source, out)  # pyright: ignore[reportArgumentType]
    partial = tmp_path / "out.jsonl.partial"
    assert len(partial.read_text().splitlines()) == 12
    partial.write_text(partial.read_text() + '{"text": "half a li')  # as a kill leaves it
    assert predict_file(pipe, source, out) == 8
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not partial.exists()
    partial.write_text('{"text": "of another file", "answer": 1}\n')
    with pytest.raises(DataError, match="line 1 is the answer to another text"):
        predict_file(pipe, source, out)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b'{"text": "a"}\n{oops\n', r"in\.jsonl:2: not JSON"),
        (b'{"label": 1}\n', r"in\.jsonl:1: .* is neither a text nor a pair"),
        (b'{"text": " "}\n', r"in\.jsonl:1: an empty text"),
        (b'["a"]\n', r"in\.jsonl:1"),
        (b'{"text": "a", "text_pair": 3}\n', r"in\.jsonl:1"),
        (b"\xff\xfe\n", r"in\.jsonl:1: this line is not UTF-8"),
        (b"\n", "there is no text in this file"),
    ],
)
def test_files_that_cannot_be_used(pipe: Any, tmp_path: Path, content: bytes, match: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    with pytest.raises((DataError, FormatError), match=match):
        predict_file(pipe, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_answers_stand_beside_their_lines(pipe: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("很好\n\n差\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"in\.txt:2: an empty text"):
        predict_file(pipe, tmp_path / "in.txt", tmp_path / "out.jsonl")
    for name in ("in.csv", "in.tsv.gz", "in.json"):
        (tmp_path / name).write_text("text\n很好\n", encoding="utf-8")
        with pytest.raises(FormatError, match=r"is not read here\. Give \.jsonl"):
            predict_file(pipe, tmp_path / name, tmp_path / "out.jsonl")
    (tmp_path / "in.txt").write_text("很好\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no option 'aggregation_strategy'"):
        predict_file(pipe, tmp_path / "in.txt", tmp_path / "out.jsonl", aggregation_strategy="none")
