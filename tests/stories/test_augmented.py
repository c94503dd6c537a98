"""A classifier that also learns from changed copies and mixtures of its training texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.train import plan, train
from hanmo.tasks import text_figures

GOOD = ["the room was lovely", "房间很干净", "a fine and funny film", "服务很热情"]
BAD = ["the room was dirty", "房间太小，没有消防", "a dull and noisy film", "服务很差"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for name, numbers in (("train", range(8)), ("dev", range(8, 10)), ("test", range(10, 12))):
        rows = [
            {"text": f"{text} {number}", "label": label}
            for number in numbers
            for label, texts in (("good", GOOD), ("bad", BAD))
            for text in texts
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def recipe(folder: Path, **augment: Any) -> ClassificationRecipe:
    return ClassificationRecipe.model_validate(
        {
            "data": {name: str(folder / f"{name}.jsonl") for name in ("train", "dev", "test")},
            "model": {"encoder": "cnn", "d_embedding": 16, "d_hidden": 8, "dropout": 0.1, "min_count": 1},
            "batch_size": 16,
            "training": {"epochs": 6, "lr": 1e-2, "checkpoint_steps": 5, "checkpoint_seconds": None},
            "augment": augment,
        }
    )


SETTINGS: dict[str, Any] = {
    "operations": ["swap", "delete", "homophone"],
    "copies": 2,
    "frequent": 1.0,
    "mixup": "words",
}


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data, **SETTINGS), out=tmp_path_factory.mktemp("runs") / "augmented").run


def test_copies_are_counted_and_touch_training_alone(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["examples"] == {"train": 64, "dev": 16, "test": 16}
    notes = record["data"]["notes"]
    made = {name.removeprefix("copies by "): n for name, n in notes.items() if name.startswith("copies by ")}
    assert set(made) == {"swap", "delete", "homophone"}
    assert sum(made.values()) + notes.get("copies that could not be made", 0) == 2 * 64
    predictions = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == 32
    assert not any("(" in row["where"] for row in predictions)
    assert json.loads((run / "evaluation.json").read_text())["test"]["scores"]["accuracy"] > 0.9
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = 64 + sum(made.values())
    assert max(event.get("tokens", 0) for event in events) <= 6 * rows
    assert max(event["step"] for event in events if "step" in event) <= 6 * -(-rows // 16)
    assert (run / "report.html").read_text(encoding="utf-8").count("Copies by swap") == 1


def test_an_interrupted_run_goes_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    glance = text_figures.glance

    def stop(*arguments: Any, **options: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments, **options)

    monkeypatch.setattr(text_figures, "glance", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(data, **SETTINGS), out=tmp_path / "run")
    monkeypatch.undo()
    train(recipe(data, **SETTINGS), out=tmp_path / "run", resume=True)
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == (run / "model/model.safetensors").read_bytes()


def test_the_plan_shows_three(data: Path) -> None:
    text = plan(recipe(data, operations=["swap"], frequent=1.0))
    assert "made of the training texts: 64 copies by swap" in text
    lines = text.splitlines()
    assert lines.count("  swap") == 3
    assert sum(line.startswith("    - ") for line in lines) == sum(line.startswith("    + ") for line in lines) == 3
    assert "made of the training texts" not in plan(recipe(data))
