"""A classifier from labelled texts: the whole story at toy size, from nothing and from a checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.task_recipe import TaskTraining
from hanmo.stories.task_story import TaskStory
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tasks.text_classifier import TextClassifier
from hanmo.tokenizers.framed import encode_windows
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words

GOOD = ["the room was lovely", "房间很干净", "a fine and funny film", "服务很热情", "well worth the trip"]
BAD = ["the room was dirty", "房间太小", "a dull and noisy film", "服务很差", "not worth the money"]


def examples(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        words = [
            draw.choice(BAD if number % 2 else GOOD),
            f"no {draw.randrange(10**6)}",
            draw.choice(["", "today 今天"]),
        ]
        rows.append({"text": " ".join(words), "label": ["good", "bad"][number % 2]})
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for seed, (name, n) in enumerate({"train": 80, "dev": 20, "test": 30}.items()):
        lines = [json.dumps(row, ensure_ascii=False) for row in examples(n, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    return folder


def recipe(folder: Path, **more: Any) -> ClassificationRecipe:
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}.jsonl") for name in ("train", "dev", "test")},
        "model": {"encoder": "cnn", "d_embedding": 16, "d_hidden": 8, "dropout": 0.1},
        "batch_size": 8,
        "training": {"epochs": 6, "lr": 5e-3, "checkpoint_seconds": None},
    }
    return ClassificationRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "cnn").run


def test_what_is_learned(run: Path, data: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["test"]["scores"]["accuracy"] > 0.9
    interval = evaluation["test"]["intervals"]["accuracy"]
    assert interval["low"] <= evaluation["test"]["scores"]["accuracy"] <= interval["high"]
    assert np.sum(evaluation["test"]["confusion"]) == 30
    predictions = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == 50
    told = [row for row in predictions if row["split"] == "test"]
    assert sum(row["right"] for row in told) / 30 == pytest.approx(evaluation["test"]["scores"]["accuracy"])
    assert [row["right"] for row in told] == sorted(row["right"] for row in told)
    model = hanmo.load(run / "model")
    classifier = TextClassifier(model.model, model.tokenizer)
    assert classifier.labels == ("bad", "good")
    answers = classifier.classify(["服务很热情, lovely", "dirty 太小"])
    assert [answer[0]["label"] for answer in answers] == ["good", "bad"]
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["data"]["examples"] == {"train": 80, "dev": 20, "test": 30}


def test_a_finished_run_is_left_alone(run: Path, data: Path) -> None:
    before = (run / "model" / "model.safetensors").stat().st_mtime_ns
    result = train(recipe(data), out=run, resume=True)
    assert result.evaluation == json.loads((run / "evaluation.json").read_text())
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="the recipe has changed since this run began"):
        train(recipe(data, seed=5), out=run, resume=True)


def test_an_interrupted_run_goes_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0

    def stop(*arguments: Any, **options: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments, **options)

    from hanmo.tasks import text_figures

    glance = text_figures.glance
    monkeypatch.setattr(text_figures, "glance", stop)
    settings = recipe(data, training={"epochs": 6, "lr": 5e-3, "checkpoint_steps": 5, "checkpoint_seconds": None})
    with pytest.raises(KeyboardInterrupt):
        train(settings, out=tmp_path / "run")
    monkeypatch.undo()
    train(settings, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == (run / "model/model.safetensors").read_bytes()
    assert (tmp_path / "run/evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()


@pytest.mark.parametrize("encoder", ["bag", "bilstm", "transformer"])
def test_other_encoders_learn_too(encoder: str, data: Path, tmp_path: Path) -> None:
    shape = {"encoder": encoder, "d_embedding": 16, "d_hidden": 8, "dropout": 0.0, "n_heads": 2, "max_len": 32}
    settings = recipe(data, model=shape, training={"epochs": 10, "lr": 1e-2})
    result = train(settings, out=tmp_path / encoder)
    assert result.evaluation["test"]["scores"]["accuracy"] > 0.85


def test_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    tokenizer = train_words([row["text"] for row in examples(80, 0)], 200)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_len": 40}
    write_model(tmp_path / "bert", bert(BertConfig(**shape), "BertForMaskedLM"))
    tokenizer.save(tmp_path / "bert")
    settings = recipe(
        data, model={"checkpoint": str(tmp_path / "bert")}, training={"epochs": 12, "lr": 1e-2, "patience": None}
    )
    result = train(settings, out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["accuracy"] > 0.85
    theirs = transformers.pipeline("text-classification", str(tmp_path / "run" / "model"), device="cpu")
    loaded = hanmo.load(tmp_path / "run" / "model")
    ours = TextClassifier(loaded.model, loaded.tokenizer).classify(["服务很热情", "a dull film"])
    for mine, other in zip(ours, theirs(["服务很热情", "a dull film"]), strict=True):
        assert mine[0]["label"] == other["label"]
        assert mine[0]["score"] == pytest.approx(other["score"], abs=1e-5)


def test_numbers_and_several_labels(data: Path, tmp_path: Path) -> None:
    lines = [{"text": row["text"], "label": float(row["label"] == "good")} for row in examples(80, 0)]
    (tmp_path / "numbers.jsonl").write_text("\n".join(map(json.dumps, lines)))
    section = {"train": str(tmp_path / "numbers.jsonl"), "kind": "regression", "dev_fraction": 0.25}
    result = train(recipe(data, data=section), out=tmp_path / "regression")
    assert result.evaluation["dev"]["scores"]["spearman"] > 0.7
    several = [
        {"text": row["text"], "label": [row["label"], "zh"] if "房" in row["text"] else [row["label"]]}
        for row in examples(80, 0)
    ]
    (tmp_path / "several.jsonl").write_text("\n".join(map(json.dumps, several)))
    section = {"train": str(tmp_path / "several.jsonl"), "kind": "multi", "dev_fraction": 0.25}
    loss = {"class_weights": "balanced"}
    result = train(recipe(data, data=section, loss=loss), out=tmp_path / "multi")
    assert result.evaluation["dev"]["scores"]["micro_f1"] > 0.8


def test_a_plan(data: Path, tmp_path: Path) -> None:
    from hanmo.core.toml import to_toml

    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data).model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "80 train, 20 dev, 30 test" in text
    assert "bad 40, good 40" in text
    assert "60 steps of 8 rows" in text
    assert not (tmp_path / "runs").exists()
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), ClassificationRecipe)
    with pytest.raises(ConfigError, match="there is no task 'nothing'; choose one of pretrain, text-classification"):
        read_recipe(tmp_path / "recipe.toml", ["task=nothing"])


def test_long_texts_are_read_whole(data: Path, tmp_path: Path) -> None:
    tokenizer = train_words(GOOD + BAD, 200)
    shape = {
        "vocab_size": tokenizer.vocab_size,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 2,
        "max_len": 16,
        "labels": ("a", "b"),
    }
    torch.manual_seed(0)
    model = bert(BertConfig.model_validate(shape), "BertForSequenceClassification")
    torch.nn.init.normal_(model.head.out.weight)
    classifier = TextClassifier(model.eval(), tokenizer)
    long = " ".join(GOOD * 4)
    with_end = classifier.scores([long, long + " dirty", "dirty"])
    assert not np.allclose(with_end[0], with_end[1])
    rows = encode_windows(tokenizer, [long], max_len=16, overlap=64)[0]
    with torch.no_grad():
        each = [model(torch.tensor([row.ids])).logits[0].numpy() for row in rows]
    np.testing.assert_allclose(with_end[0], np.mean(each, axis=0), atol=1e-5)
    with pytest.raises(ModelError, match="does not tell classes"):
        TextClassifier(bert(BertConfig.model_validate(shape), "BertForMaskedLM"), tokenizer)


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({"model": {"checkpoint": "x", "encoder": "bag"}}, "encoder cannot be chosen with a checkpoint"),
        ({"model": {"freeze_embeddings": True}}, "freeze_embeddings without embeddings"),
        ({"training": {"epochs": 2, "n_steps": 5}}, "one of epochs, n_steps and minutes"),
        ({"training": {}}, "one of epochs, n_steps and minutes"),
        ({"model": {"encoder": "transformer", "d_embedding": 10, "n_heads": 3}}, "not a multiple"),
    ],
)
def test_impossible_recipes(data: Path, section: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        recipe(data, **section)


def test_length_of_training() -> None:
    fitted = TaskTraining(epochs=2.5, accumulate=2).fitted(9)
    assert (fitted.n_steps, fitted.eval_every) == (11, 4)
    assert TaskTraining(minutes=3, eval_every=7).fitted(9).eval_every == 7


def test_story_records_a_failure(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: TaskStory) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(TaskStory, "tell", fail)
    with pytest.raises(RuntimeError, match="no luck"):
        train(recipe(data), out=tmp_path / "run")
    assert json.loads((tmp_path / "run/run.json").read_text())["error"] == "no luck"


def test_a_decoder_without_padding(data: Path, tmp_path: Path) -> None:
    """As GPT-2 and Llama are published: the head finds the last token all the same, alone and beside longer texts."""
    tokenizer = train_words([row["text"] for row in examples(80, 0)], 60, min_count=1)
    without = {key: value for key, value in tokenizer.config.items() if key != "pad_token"} | {"eos_token": "[SEP]"}
    Tokenizer(tokenizer.definition, without).save(tmp_path / "base")
    shape = {
        "vocab_size": tokenizer.vocab_size,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 2,
        "max_len": 32,
        "pad_id": None,
    }
    torch.manual_seed(0)
    write_model(tmp_path / "base", gpt2(GPT2Config.model_validate(shape)))
    training = {"n_steps": 20, "lr": 5e-3, "checkpoint_seconds": None}
    run = train(recipe(data, model={"checkpoint": str(tmp_path / "base")}, training=training), out=tmp_path / "run")
    loaded = hanmo.load(run.model)
    classifier = TextClassifier(loaded.model, loaded.tokenizer)
    assert classifier.fill_id == tokenizer.token_id("[SEP]")
    short, long = "房间很干净", "the room was lovely 服务很热情 and well worth the trip, no 17"
    np.testing.assert_allclose(classifier.scores([short, long])[0], classifier.scores([short])[0], atol=1e-5)
    np.testing.assert_allclose(classifier.scores([short, short])[1], classifier.scores([short])[0], atol=1e-5)


def test_pairs_that_are_too_long_are_named_before_training(tmp_path: Path) -> None:
    rows = [{"text": f"问题 {number}", "pair": f"答案 {number}", "label": "ab"[number % 2]} for number in range(20)]
    long = {"text": "很长 " * 40, "pair": "也很长 " * 40, "label": "a"}
    for name, found in {"train": rows, "dev": rows[:4], "test": [*rows[:4], long]}.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in found))
    values = {
        "data": {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "dev", "test")} | {"pair": "pair", "leaks": "keep"},
        "model": {"encoder": "transformer", "d_embedding": 8, "d_hidden": 8, "n_heads": 2, "max_len": 32},
    }  # fmt: skip
    with pytest.raises(DataError, match="both texts of a pair are long") as error:
        train(ClassificationRecipe.model_validate(values), out=tmp_path / "run")
    assert str(error.value.where) == f"{tmp_path / 'test.jsonl'}:5"
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_plan_with_a_share(data: Path) -> None:
    assert "20 train, 20 dev" in plan(recipe(data, share=0.25))


@pytest.mark.parametrize("kind", ["single", "multi", "regression"])
def test_a_figure_that_is_not_watched_is_named_before_training(
    kind: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanmo.training.session import Session

    monkeypatch.setattr(Session, "take_step", lambda _: pytest.fail("a step was taken"))
    section = {name: str(data / f"{name}.jsonl") for name in ("train", "dev", "test")} | {"kind": kind}
    if kind == "regression":
        rows = [{"text": f"第{number}条", "label": number} for number in range(40)]
        section = {"kind": kind, "train": str(tmp_path / "numbers.jsonl")}
        (tmp_path / "numbers.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    asked = recipe(data, data=section, training={"epochs": 1, "monitor": "bleu"})
    with pytest.raises(
        ConfigError, match=r"training\.monitor: there is no figure 'bleu' to watch\. This task has loss, error"
    ):
        train(asked, out=tmp_path / "run")
    with pytest.raises(ConfigError, match="no figure 'bleu'"):
        plan(asked)


def test_texts_that_become_windows_are_counted(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, n in (("train", 20), ("test", 8)):
        rows = [
            {"text": f"{number} " + "很" * (30 if number < 4 else 3), "label": "好差"[number % 2]}
            for number in range(n)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    model = {"encoder": "transformer", "d_embedding": 8, "n_heads": 2, "max_len": 16}
    section = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl"), "dev_fraction": 0.2}
    asked = recipe(data, data=section | {"leaks": "keep"}, model=model, training={"n_steps": 1})
    result = train(asked, out=tmp_path / "run")
    notes = json.loads((result.run / "run.json").read_text())["data"]["notes"]
    told = {name: count for name, count in notes.items() if name.endswith("and become windows")}
    splits = asked.work().examples()
    long = {name: sum(len(one.text) > 20 for one in getattr(splits, name)) for name in ("train", "dev", "test")}
    assert told == {
        "training texts are longer than the model reads, and become windows": long["train"],
        "dev and test texts are longer than the model reads, and become windows": long["dev"] + long["test"],
    }
