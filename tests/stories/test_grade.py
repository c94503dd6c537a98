"""A grader from graded answers, in Chinese and English: the whole story at toy size, from nothing and from a checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import hanmo
from hanmo.core.toml import to_toml
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.stories.grading_recipe import GradingRecipe
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tokenizers.words import train_words

TASKS = [
    ("光合作用的产物是什么？", ["葡萄糖", "氧气"], ["二氧化碳", "盐"]),
    ("What do plants make from light?", ["sugar", "oxygen"], ["salt", "iron"]),
    ("水的三态是哪些变化？", ["融化", "汽化"], ["燃烧", "生锈"]),
    ("Which forces act on a falling apple?", ["gravity", "drag"], ["magnetism", "voltage"]),
]


def answers(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        question, right, wrong = draw.choice(TASKS)
        chosen = [draw.choice(pair) for pair in zip(right, wrong, strict=True)]
        score = sum(word in right for word in chosen)
        draw.shuffle(chosen)
        rows.append(
            {
                "question": question,
                "reference": " ".join(right),
                "answer": f"{' '.join(chosen)} {draw.randrange(10**6)}",
                "score": score,
            }
        )
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graded")
    for seed, (name, n) in enumerate({"train": 120, "dev": 24, "test": 32}.items()):
        lines = [json.dumps(row, ensure_ascii=False) for row in answers(n, seed)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(folder: Path, **more: Any) -> GradingRecipe:
    section = {name: str(folder / f"{name}.jsonl") for name in ("train", "dev", "test")}
    values: dict[str, Any] = {
        "data": section | more.pop("data", {}),
        "model": {"encoder": "bilstm", "d_embedding": 24, "d_hidden": 12, "dropout": 0.0},
        "batch_size": 8,
        "training": {"epochs": 10, "lr": 1e-2, "checkpoint_seconds": None},
    }
    return GradingRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "grader").run


def test_grades_are_learned(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())["test"]
    assert evaluation["scores"]["quadratic_kappa"] > 0.7
    assert evaluation["scores"]["pearson"] > 0.7
    assert set(evaluation["intervals"]) == {"quadratic_kappa", "pearson", "same_grade", "mean_absolute_error"}
    grade = hanmo.pipeline("grading", run / "model")
    found = grade(
        [
            {"answer": "葡萄糖 氧气", "reference": "葡萄糖 氧气"},
            {"answer": "葡萄糖 盐", "reference": "葡萄糖 氧气"},
            {"answer": "salt iron", "reference": "sugar oxygen"},
        ]
    )
    scores = [answer["score"] for answer in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 1.5
    assert scores[2] < 0.5
    assert all(0 <= score <= 2 for score in scores)
    report = (run / "report.html").read_text()
    assert "Quadratic weighted kappa" in report
    predictions = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    told = [row for row in predictions if row["split"] == "test"]
    assert sum(row["right"] for row in told) / 32 == pytest.approx(evaluation["scores"]["same_grade"])


@pytest.mark.parametrize(
    "encoder", [pytest.param("bag", marks=pytest.mark.slow), pytest.param("cnn", marks=pytest.mark.slow), "transformer"]
)
def test_other_encoders_learn_too(encoder: str, data: Path, tmp_path: Path) -> None:
    shape = {"encoder": encoder, "d_embedding": 16, "d_hidden": 8, "dropout": 0.0, "n_heads": 2, "max_len": 48}
    length = {"epochs": 10, "lr": 5e-2 if encoder == "bag" else 1e-2}
    settings = recipe(data, model=shape, training=length, data={"question": "question"})
    result = train(settings, out=tmp_path / encoder)
    assert result.evaluation["test"]["scores"]["quadratic_kappa"] > 0.6
    grade = hanmo.pipeline("grading", tmp_path / encoder / "model")
    item = {"question": TASKS[0][0], "answer": "葡萄糖 氧气", "reference": "葡萄糖 氧气"}
    assert 0 <= grade(item)["score"] <= 2


def test_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    tokenizer = train_words((f"{row['answer']} {row['reference']}" for row in answers(120, 0)), 200, min_count=2)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2}
    write_model(tmp_path / "bert", bert(BertConfig(**shape, max_len=40), "BertForMaskedLM"))
    tokenizer.save(tmp_path / "bert")
    model = {"checkpoint": str(tmp_path / "bert")}
    result = train(recipe(data, model=model, training={"epochs": 8, "lr": 1e-2}), out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["quadratic_kappa"] > 0.6
    config = json.loads((tmp_path / "run" / "model" / "tokenizer_config.json").read_text())
    assert config["hanmo_grades"] == {"lowest": 0, "highest": 2, "step": 1, "question": False}


def test_a_plan(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data).model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "120 train, 24 dev, 32 test" in text
    assert "BiLSTMForSequenceClassification" in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), GradingRecipe)
