"""Planted label errors are found, in Chinese and English."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from hanmo.cli.app import main
from hanmo.core.errors import ConfigError
from hanmo.core.toml import to_toml
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.labels import find_label_errors
from hanmo.tasks import text_figures

PARTS = {
    "en": (
        ("lovely", "fine", "warm", "clean", "great", "friendly"),
        ("dirty", "dull", "cold", "noisy", "awful", "rude"),
        ("the room was {}", "a {} and {} place", "we found the staff {}", "breakfast: {}"),
    ),
    "zh": (
        ("干净", "热情", "舒服", "精彩", "周到", "好看"),
        ("很脏", "冷淡", "吵闹", "无聊", "太差", "难看"),
        ("房间{}", "这家酒店{}而且{}", "服务员{}", "早餐{}，下次再说"),
    ),
}


def write(folder: Path, language: str, n: int) -> set[str]:
    """Examples of which a tenth has the wrong label; the places of those."""
    draw = random.Random(language)
    good, bad, frames = PARTS[language]
    wrong = set(draw.sample(range(n), n // 10))
    lines = []
    for number in range(n):
        words = bad if number % 2 else good
        text = draw.choice(frames).format(draw.choice(words), draw.choice(words)) + f" {number}"
        lines.append(json.dumps({"text": text, "label": ["good", "bad"][(number % 2) ^ (number in wrong)]}))
    path = folder / f"{language}.jsonl"
    path.write_text("\n".join(lines))
    return {f"{path}:{number + 1}" for number in wrong}


def recipe(path: Path, **more: Any) -> ClassificationRecipe:
    values: dict[str, Any] = {
        "name": "noisy",
        "data": {"train": str(path)},
        "model": {"encoder": "bag", "d_embedding": 16, "dropout": 0.2},
        "batch_size": 16,
        "training": {"epochs": 8, "lr": 1e-2, "checkpoint_seconds": None},
    }
    return ClassificationRecipe.model_validate(values | more)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_most_are_found(language: str, tmp_path: Path) -> None:
    planted = write(tmp_path, language, 300)
    result = find_label_errors(recipe(tmp_path / f"{language}.jsonl"), folds=3, out=tmp_path / "run")
    rows = [json.loads(line) for line in result.found.read_text(encoding="utf-8").splitlines()]
    found = {row["where"] for row in rows}
    assert len(found & planted) / len(planted) >= 0.85  # recall
    assert len(found & planted) / len(found) >= 0.85  # precision
    assert {row["where"] for row in rows[: len(planted) // 2]} <= planted  # the surest first
    assert [row["margin"] for row in rows] == sorted(row["margin"] for row in rows)
    for row in rows:
        assert row["label"] != row["suggested"]
        assert row["margin"] == pytest.approx(row["probability_of_label"] - row["probability"], abs=2e-6)
    assert result.n_examples == 300
    assert result.n_suspects == len(rows)
    assert 0.05 < result.noise < 0.2
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "finished"
    assert sum(map(sum, record["labels"]["confident_joint"])) <= 300


def test_an_interrupted_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "zh", 80)
    settings = recipe(
        tmp_path / "zh.jsonl", training={"epochs": 3, "lr": 1e-2, "checkpoint_steps": 3, "checkpoint_seconds": None}
    )
    whole = find_label_errors(settings, folds=2, out=tmp_path / "whole")
    seen = 0
    glance = text_figures.glance

    def stop(*arguments: Any, **options: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 6:  # in the second fold
            raise KeyboardInterrupt
        return glance(*arguments, **options)

    monkeypatch.setattr(text_figures, "glance", stop)
    with pytest.raises(KeyboardInterrupt):
        find_label_errors(settings, folds=2, out=tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run/folds/1/probabilities.json").exists()
    assert not (tmp_path / "run/folds/2/probabilities.json").exists()
    with pytest.raises(ConfigError, match="this run has 2 folds, not 3"):
        find_label_errors(settings, folds=3, out=tmp_path / "run", resume=True)
    again = find_label_errors(settings, folds=2, out=tmp_path / "run", resume=True)
    assert again.found.read_bytes() == whole.found.read_bytes()
    assert find_label_errors(settings, folds=2, out=tmp_path / "run", resume=True).to_dict() | {"seconds": 0} == (
        again.to_dict() | {"seconds": 0}
    )


def test_with_a_dev_file_training_texts_alone_are_judged(tmp_path: Path) -> None:
    write(tmp_path, "en", 60)
    write(tmp_path, "zh", 20)
    data = {"train": str(tmp_path / "en.jsonl"), "dev": str(tmp_path / "zh.jsonl")}
    settings = recipe(tmp_path / "en.jsonl", data=data, training={"epochs": 1})
    assert find_label_errors(settings, folds=2, out=tmp_path / "run").n_examples == 60


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "en", 60)
    (tmp_path / "noisy.toml").write_text(to_toml(recipe(tmp_path / "en.jsonl").model_dump(mode="json")))
    arguments = ["labels", str(tmp_path / "noisy.toml"), "--folds", "2", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--set", "training.epochs=2"]) == 0
    assert "of 60 labels to review" in capsys.readouterr().out
    assert main([*arguments, "--set", "training.epochs=2", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_examples"] == 60


@pytest.mark.parametrize(
    ("more", "folds", "match"),
    [
        ({"share": 0.5}, 3, "share has no meaning"),
        ({"study": {"seeds": 2}}, 3, "study has no meaning"),
        ({}, 1, "two or more are needed"),
        ({}, 1000, "cannot be cut into 1000 folds"),
    ],
)
def test_impossible_searches(more: dict[str, Any], folds: int, match: str, tmp_path: Path) -> None:
    write(tmp_path, "en", 60)
    with pytest.raises(ValueError, match=match):
        find_label_errors(recipe(tmp_path / "en.jsonl", **more), folds=folds, out=tmp_path / "run")


def test_numbers_have_no_label_errors(tmp_path: Path) -> None:
    (tmp_path / "numbers.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n')
    settings = recipe(tmp_path / "x", data={"train": str(tmp_path / "numbers.jsonl"), "kind": "regression"})
    with pytest.raises(ConfigError, match="texts of one class each"):
        find_label_errors(settings, out=tmp_path / "run")


def test_examples_set_aside_for_a_test_are_judged_too(tmp_path: Path) -> None:
    write(tmp_path, "zh", 40)
    data = {"train": str(tmp_path / "zh.jsonl"), "test_fraction": 0.25}
    result = find_label_errors(recipe(tmp_path / "zh.jsonl", data=data), out=tmp_path / "run", folds=2)
    assert result.n_examples == 40
