"""Layers treated apart and calibration, asked for in a recipe of a task."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import hanmo
from hanmo.core.errors import ConfigError
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.task_recipe import TaskTraining
from hanmo.stories.train import train
from hanmo.tasks.text_classifier import TextClassifier
from hanmo.training.averaging import average_checkpoints
from hanmo.training.checkpoint import model_tensors


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for seed, (name, n) in enumerate({"train": 100, "dev": 60, "test": 60}.items()):
        draw = random.Random(seed)
        rows = []
        for number in range(n):
            clean, near = draw.random() < 0.5, draw.random() < 0.2
            text = (
                f"房间{'很干净' if clean else '很脏'} {'离地铁近' if near else ''} no {draw.randrange(10**6)} {number}"
            )
            several = ["干净"] * clean + ["近"] * near
            single = "好" if clean != (draw.random() < 0.2) else "差"  # some are wrong, so that certainty is wrong too
            rows.append({"text": text, "several": several, "single": single, "score": float(clean)})
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(folder: Path, column: str, kind: str = "single", **more: Any) -> ClassificationRecipe:
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}.jsonl") for name in ("train", "dev", "test")}
        | {"label": column, "kind": kind},
        "model": {"encoder": "bag", "d_embedding": 16, "dropout": 0.0, "min_count": 1},
        "batch_size": 10,
        "training": {"epochs": 30, "lr": 2e-2, "checkpoint_seconds": None, "patience": None, "eval_every": 1000},
    }
    return ClassificationRecipe.model_validate(values | more)


def test_epochs_become_steps() -> None:
    assert TaskTraining(epochs=4, unfreeze_every=0.5).fitted(8).unfreeze_steps == 4
    assert TaskTraining(epochs=4, unfreeze_every=0.01).fitted(8).unfreeze_steps == 1
    settings = TaskTraining(epochs=5, accumulate=8).fitted(15)
    assert (settings.n_steps, settings.eval_every) == (9, 2)  # 75 batches, 8 at a time
    assert TaskTraining(epochs=3, accumulate=8).fitted(3).n_steps == 1
    assert TaskTraining(n_steps=40, unfreeze_steps=7, layer_decay=0.9).fitted(8).unfreeze_steps == 7
    with pytest.raises(ValueError, match="say the same"):
        TaskTraining(epochs=4, unfreeze_every=0.5, unfreeze_steps=3)


def test_layers_treated_apart(data: Path, tmp_path: Path) -> None:
    training = {"n_steps": 40, "lr": 2e-2, "layer_decay": 0.8, "unfreeze_every": 0.5, "checkpoint_seconds": None}
    shape = {"encoder": "bilstm", "d_embedding": 12, "d_hidden": 8, "n_layers": 2, "dropout": 0.0, "min_count": 1}
    result = train(recipe(data, "single", training=training, model=shape), out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["accuracy"] > 0.65
    with pytest.raises(ConfigError, match="no layers one after another"):
        train(recipe(data, "single", training=training), out=tmp_path / "bag")


@pytest.mark.parametrize(("lr", "taken"), [(0.2, True), (2e-3, False)])  # leaps about; is still on its way down
def test_the_mean_of_the_last_weights(lr: float, taken: bool, data: Path, tmp_path: Path) -> None:
    schedule = {"warmup_steps": 0, "final_fraction": 1.0}
    training = {"n_steps": 40, "lr": lr, "schedule": schedule, "eval_every": 4, "patience": None, "monitor": "loss"}
    settings = recipe(data, "single", training=training, averaging={"last": 3})
    run = train(settings, out=tmp_path / "run").run
    told = json.loads((run / "run.json").read_text())["training"]
    assert taken == (told["of_mean"]["loss"] <= told["of_best"]["loss"])
    mean, steps = average_checkpoints(run / "checkpoints", last=3)
    assert steps == [32, 36, 40]
    assert told["averaged_steps"] == (steps if taken else [])
    saved = model_tensors(hanmo.load(run / "model").model)
    assert all(torch.equal(saved[name], mean[name]) for name in mean) == taken


def test_temperature(data: Path, tmp_path: Path) -> None:
    plain = train(recipe(data, "single"), out=tmp_path / "plain")
    warm = train(recipe(data, "single", calibration={"temperature": True}), out=tmp_path / "warm")
    for split in ("dev", "test"):
        before, after = plain.evaluation[split]["scores"], warm.evaluation[split]["scores"]
        assert "ece" not in before
        assert after["accuracy"] == before["accuracy"]
        assert after["ece"] < after["ece_uncalibrated"]
    loaded = hanmo.load(warm.model)
    classifier = TextClassifier(loaded.model, loaded.tokenizer)
    assert classifier.calibration.temperature > 1.1
    rows = (warm.run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    record = next(row for row in map(json.loads, rows) if row["split"] == "test")
    assert classifier.classify([record["text"]])[0][0]["score"] == pytest.approx(record["probability"], rel=1e-4)
    assert "Calibration error" in warm.report.read_text(encoding="utf-8")


def test_thresholds(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = recipe(data, "several", "multi", training={"epochs": 2, "lr": 1e-2, "checkpoint_seconds": None})
    plain = train(settings, out=tmp_path / "plain")
    fitted = settings.model_copy(
        update={"calibration": recipe(data, "several", "multi", calibration={"thresholds": True}).calibration}
    )
    found = train(fitted, out=tmp_path / "fitted")
    for split in ("dev", "test"):
        assert found.evaluation[split]["scores"]["macro_f1"] > plain.evaluation[split]["scores"]["macro_f1"]
    pipe = hanmo.pipeline("text-classification", found.model)
    rows = (found.run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    tested = [row for row in map(json.loads, rows) if row["split"] == "test"]
    answers = pipe([row["text"] for row in tested], applying=True)
    assert [{one["label"] for one in answer} for answer in answers] == [set(row["predicted"]) for row in tested]
    from hanmo.cli.app import main

    both = next(row for row in tested if len(row["predicted"]) == 2)
    capsys.readouterr()
    assert main(["predict", "text-classification", str(found.model), both["text"], "--applying"]) == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"干净", "近"}


@pytest.mark.parametrize(
    ("kind", "section", "match"),
    [
        ("single", {}, "nothing is asked for"),
        ("single", {"thresholds": True}, 'thresholds are for kind = "multi"'),
        ("regression", {"temperature": True}, "no probabilities to calibrate"),
    ],
)
def test_impossible_calibrations(data: Path, kind: str, section: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        recipe(data, "score", kind, calibration=section)
