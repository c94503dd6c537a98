"""A tagger from tagged sentences: the whole story at toy size, from nothing and from a checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.stories.tagging_recipe import TaggingRecipe
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tasks.tag_pipeline import TagPipeline
from hanmo.tasks.tagger import Tagger
from hanmo.tokenizers.words import train_words

NAMES = ["Ada Lovelace", "Bob", "李白", "张三丰"]
PLACES = ["Rome", "New York", "北京", "上海"]


def sentence(draw: random.Random, by_character: bool) -> list[str]:
    lines = []

    def add(text: str, kind: str | None) -> None:
        words = list(text.replace(" ", "")) if by_character else text.split()
        for number, word in enumerate(words):
            lines.append(f"{word} {'O' if kind is None else ('I-' if number else 'B-') + kind}")

    add(draw.choice(NAMES), "PER")
    add(draw.choice(["lives in", "去 了", "saw"]), None)
    add(draw.choice(PLACES), "LOC")
    add(draw.choice([".", "!", f"in {draw.randrange(10**5)}"]), None)
    return lines


def write(folder: Path, by_character: bool = False) -> Path:
    for seed, (name, n) in enumerate({"train": 80, "dev": 12, "test": 20}.items()):
        draw = random.Random(seed)
        text = "\n\n".join("\n".join(sentence(draw, by_character)) for _ in range(n))
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tagged"))


def recipe(folder: Path, **more: Any) -> TaggingRecipe:
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}.txt") for name in ("train", "dev", "test")}
        | {"scheme": "IOB2", "leaks": "keep"},
        "model": {"d_embedding": 16, "d_hidden": 12, "dropout": 0.1, "min_count": 1},
        "batch_size": 8,
        "training": {"epochs": 6, "lr": 1e-2, "checkpoint_seconds": None},
    }
    return TaggingRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "bilstm").run


def test_what_is_learned(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())["test"]
    assert evaluation["scores"]["f1"] > 0.9
    assert evaluation["intervals"]["f1"]["low"] <= evaluation["scores"]["f1"] <= evaluation["intervals"]["f1"]["high"]
    assert set(evaluation["per_class"]) == {"LOC", "PER"}
    records = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len([row for row in records if row["split"] == "test"]) == 20
    assert "F1" in (run / "report.html").read_text()
    loaded = hanmo.load(run / "model")
    tagger = Tagger(loaded.model, loaded.tokenizer)
    assert tagger.has_crf
    assert loaded.config.scheme == "BIOES"
    found = tagger.tag([["Ada", "Lovelace", "saw", "北京", "!"], [], ["Bob"]])
    assert found[0].tags == ("B-PER", "E-PER", "O", "S-LOC", "O")
    assert all(0.3 < score <= 1 for score in found[0].scores)
    assert found[1].tags == ()
    assert found[2].tags == ("S-PER",)


def test_pipeline(run: Path) -> None:
    pipe = hanmo.pipeline("ner", run / "model")
    text = "Ada Lovelace lives in New York."
    spans = pipe(text, aggregation_strategy="simple")
    assert [(row["entity_group"], row["word"]) for row in spans] == [("PER", "Ada Lovelace"), ("LOC", "New York")]
    assert all(text[row["start"] : row["end"]] == row["word"] for row in spans)
    words = pipe([text, "李白 去 了 上海 ."])
    assert [row["entity"] for row in words[0]] == ["B-PER", "E-PER", "B-LOC", "E-LOC"]
    assert [row["index"] for row in words[0]] == [1, 2, 5, 6]
    everything = pipe(text, ignore_labels=[])
    assert len(everything) == 7
    assert list(pipe(iter([text, text]), aggregation_strategy="first")) == [spans, spans]
    with pytest.raises(ConfigError, match="no strategy 'best'"):
        pipe(text, aggregation_strategy="best")


def test_chinese_characters(tmp_path: Path) -> None:
    training = {"epochs": 14, "lr": 1e-2}
    result = train(recipe(write(tmp_path, by_character=True), training=training), out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["f1"] > 0.85
    pipe = hanmo.pipeline("token-classification", tmp_path / "run/model")
    assert isinstance(pipe, TagPipeline)
    assert pipe.tagger.unit == "character"
    assert not pipe.tagger.config.characters
    spans = pipe("张三丰去了上海!", aggregation_strategy="simple")
    assert [(row["entity_group"], row["word"], row["start"]) for row in spans] == [
        ("PER", "张三丰", 0), ("LOC", "上海", 5),
    ]  # fmt: skip


def test_an_interrupted_run_goes_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.tasks import tag_figures

    seen, glance = 0, tag_figures.glance_at_tags

    def stop(*arguments: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments)

    monkeypatch.setattr(tag_figures, "glance_at_tags", stop)
    settings = recipe(data, training={"epochs": 6, "lr": 1e-2, "checkpoint_steps": 7, "checkpoint_seconds": None})
    with pytest.raises(KeyboardInterrupt):
        train(settings, out=tmp_path / "run")
    monkeypatch.undo()
    train(settings, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == (run / "model/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "model",
    [
        {"encoder": "cnn", "d_hidden": 16},
        {"encoder": "transformer", "n_heads": 2, "max_len": 24},
        {"encoder": "bilstm", "crf": False, "characters": False},
    ],
)
def test_other_shapes_learn_too(model: dict[str, Any], data: Path, tmp_path: Path) -> None:
    shape = {"d_embedding": 16, "d_hidden": 12, "dropout": 0.0, "min_count": 1} | model
    result = train(recipe(data, model=shape, training={"epochs": 10, "lr": 1e-2}), out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["f1"] > 0.85


def checkpoint(folder: Path) -> Path:
    tokenizer = train_words(
        [" ".join(NAMES + PLACES), "lives in 去 了 saw . ! in", "0 1 2 3"], 200, lowercase=True
    )  # fmt: skip
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 2,
        "max_len": 40,
    }
    write_model(folder, bert(BertConfig(**shape), "BertForMaskedLM"))
    tokenizer.save(folder)
    return folder


def test_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    section = {"checkpoint": str(checkpoint(tmp_path / "bert")), "crf": False}
    settings = recipe(data, model=section, training={"epochs": 12, "lr": 1e-2, "patience": None})
    result = train(settings, out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["f1"] > 0.85
    theirs = transformers.pipeline("token-classification", str(tmp_path / "run/model"), device="cpu")
    ours = hanmo.pipeline("token-classification", tmp_path / "run/model")
    text = "Bob saw Rome !"
    expected = [row for row in theirs(text) if row["entity"] != "O"]
    for mine, other in zip(ours(text), expected, strict=True):
        assert (mine["entity"], mine["start"], mine["end"]) == (other["entity"], other["start"], other["end"])
        assert mine["score"] == pytest.approx(other["score"], abs=1e-5)


def test_cases_beside_an_uncased_checkpoint(tmp_path: Path) -> None:
    # capitals alone tell names, and the checkpoint sees none
    for seed, (name, n) in enumerate({"train": 80, "dev": 10, "test": 20}.items()):
        draw = random.Random(seed)
        lines = []
        for _ in range(n):
            for _ in range(6):
                word = draw.choice(["ada", "lovelace", "bob", "rome", "new", "york", "lives"])
                lines.append(f"{word.capitalize()} B-X" if draw.random() < 0.4 else f"{word} O")
            lines.append("")
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    section = {"checkpoint": str(checkpoint(tmp_path / "bert"))}
    training = {"epochs": 10, "lr": 1e-2, "patience": None}
    blind = train(recipe(tmp_path, model=section, training=training), out=tmp_path / "blind")
    seeing = train(
        recipe(tmp_path, model=section | {"case_features": True}, training=training), out=tmp_path / "seeing"
    )
    assert seeing.evaluation["test"]["scores"]["f1"] > 0.95 > 0.7 > blind.evaluation["test"]["scores"]["f1"]
    spans = hanmo.pipeline("ner", tmp_path / "seeing/model")("bob Bob", aggregation_strategy="simple")
    assert [row["start"] for row in spans] == [4]


def test_long_sentences_are_tagged_whole(data: Path, tmp_path: Path) -> None:
    shape = {"encoder": "transformer", "d_embedding": 16, "n_heads": 2, "max_len": 16, "dropout": 0.0, "min_count": 1}
    long = " ".join(["Ada Lovelace saw New York ."] * 12)
    text = "\n".join(
        f"{word} {tag}"
        for word, tag in zip(long.split(), ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"] * 12, strict=True)
    )
    (tmp_path / "train.txt").write_text("\n\n".join([text] * 20))
    (tmp_path / "dev.txt").write_text(text)
    (tmp_path / "test.txt").write_text(text)
    result = train(
        recipe(tmp_path, model=shape, training={"epochs": 15, "lr": 1e-2, "patience": None}), out=tmp_path / "run"
    )
    assert result.evaluation["test"]["scores"]["f1"] > 0.95
    assert result.evaluation["test"]["n"] == 1


def test_tags_without_spans(tmp_path: Path) -> None:
    kinds = {"Ada": "PROPN", "李白": "PROPN", "saw": "VERB", "去": "VERB", "Rome": "PROPN", ".": "PUNCT", "the": "DET"}
    for seed, (name, n) in enumerate({"train": 60, "dev": 10, "test": 20}.items()):
        draw = random.Random(seed)
        rows = [[draw.choice(list(kinds)) for _ in range(draw.randint(2, 6))] for _ in range(n)]
        text = "\n\n".join("\n".join(f"{word}\t{kinds[word]}" for word in row) for row in rows)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    data = {name: str(tmp_path / f"{name}.txt") for name in ("train", "dev", "test")} | {"leaks": "keep"}
    result = train(recipe(tmp_path, data=data), out=tmp_path / "run")
    figures = result.evaluation["test"]
    assert figures["scores"]["accuracy"] > 0.95
    assert figures["intervals"]["accuracy"]["low"] <= figures["scores"]["accuracy"]
    assert set(figures["per_class"]) == {"DET", "PROPN", "PUNCT", "VERB"}
    found = hanmo.pipeline("pos", tmp_path / "run/model")("Ada saw Rome .", aggregation_strategy="simple")
    assert [(row["entity_group"], row["word"]) for row in found] == [
        ("PROPN", "Ada"), ("VERB", "saw"), ("PROPN", "Rome"), ("PUNCT", "."),
    ]  # fmt: skip


def test_a_plan(data: Path, tmp_path: Path) -> None:
    from hanmo.core.toml import to_toml

    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data).model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "80 train, 12 dev, 20 test" in text
    assert "BiLSTMCrfForTokenClassification" in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), TaggingRecipe)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ({"encoder": "bag", "crf": True}, "has no CRF"),
        ({"encoder": "transformer", "characters": True}, "reads no characters"),
        ({"case_features": True}, "case_features is for a checkpoint"),
        ({"checkpoint": "x", "d_hidden": 3}, "d_hidden cannot be chosen with a checkpoint"),
        ({"checkpoint": "x", "characters": True}, "characters cannot be added"),
    ],
)
def test_settings_that_cannot_be(model: dict[str, Any], match: str, data: Path) -> None:
    with pytest.raises(ValueError, match=match):
        recipe(data, model=model)


def test_models_that_do_not_tag(tmp_path: Path) -> None:
    model = hanmo.load(checkpoint(tmp_path / "bert"))
    with pytest.raises(ModelError, match="does not tag words"):
        Tagger(model.model, model.tokenizer)
    with pytest.raises(ModelError, match="does not tag words"):
        hanmo.pipeline("ner", tmp_path / "bert")
