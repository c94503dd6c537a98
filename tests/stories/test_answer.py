"""A model of answers from questions on texts: the whole story at toy size, from nothing and from a checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import hanmo
from hanmo.core.errors import ConfigError, DataError
from hanmo.stories.qa_recipe import AnsweringRecipe
from hanmo.stories.train import plan, read_recipe, train
from tiny_reader import write_reader

NAMES = ["Anna", "Ben", "Carla", "Dora", "安娜", "小明", "老王", "阿花"]
CITIES = ["Rome", "Oslo", "Lyon", "Bonn", "北京", "上海", "西安", "天津"]


def questions(n: int, seed: int, *, none: bool = False) -> dict[str, Any]:
    """`Anna lives in Rome. 小明 lives in 上海.` — `Where does 小明 live?`"""
    draw = random.Random(seed)
    paragraphs = []
    for number in range(n):
        people, places = draw.sample(NAMES, 3), draw.sample(CITIES, 2)
        context = (
            " ".join(f"{person} lives in {place}." for person, place in zip(people, places, strict=False))
            + f" It is {number}."
        )
        qas = []
        for place, person in enumerate(people[: 3 if none else 2]):
            start = context.index(places[place]) if place < 2 else -1
            qas.append({
                "id": f"{seed}-{number}-{place}", "question": f"Where does {person} live 住哪?",
                "answers": [{"text": places[place], "answer_start": start}] if place < 2 else [],
                "is_impossible": place == 2,
            })  # fmt: skip
        paragraphs.append({"context": context, "qas": qas})
    return {"version": "2.0", "data": [{"title": "people", "paragraphs": paragraphs}]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("questions")
    for seed, (name, n) in enumerate({"train": 60, "dev": 15, "test": 20}.items()):
        (folder / f"{name}.json").write_text(json.dumps(questions(n, seed), ensure_ascii=False))
        (folder / f"{name}-2.json").write_text(json.dumps(questions(n, seed, none=True), ensure_ascii=False))
    return folder


def recipe(folder: Path, *, version: str = "", **more: Any) -> AnsweringRecipe:
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}{version}.json") for name in ("train", "dev", "test")},
        "model": {"encoder": "bilstm", "d_embedding": 24, "d_hidden": 24, "dropout": 0.0, "min_count": 1},
        "answers": {"window": 64, "overlap": 16, "max_answer_len": 4},
        "batch_size": 8,
        "training": {"epochs": 8, "lr": 2e-2, "patience": None, "checkpoint_seconds": None},
    }
    return AnsweringRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "bilstm").run


def test_what_is_learned(run: Path, data: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    figures = evaluation["test"]
    assert figures["scores"]["f1"] > 85
    assert figures["scores"]["f1"] > figures["scores"]["baseline_f1"]
    assert figures["against_baseline"]["p_value"] < 0.05
    assert figures["intervals"]["f1"]["low"] <= figures["scores"]["f1"] <= figures["intervals"]["f1"]["high"]
    records = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(records) == 70
    answer = hanmo.pipeline("question-answering", run / "model")
    found = answer(question="Where does 小明 live 住哪?", context="Anna lives in Rome. 小明 lives in 西安. It is 3.")
    assert found["answer"] == "西安"
    assert answer.answerer.settings == recipe(data).answers
    assert not answer.answerer.knows_no_answer
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["data"]["labels"]) == ("finished", ["answer"])
    report = (run / "report.html").read_text()
    assert "paired bootstrap" in report
    assert "F1 without training" in report


def test_an_interrupted_run_goes_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.tasks import qa_figures

    seen, glance = 0, qa_figures.glance_at_answers

    def stop(*arguments: Any, **options: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 4:
            raise KeyboardInterrupt
        return glance(*arguments, **options)

    monkeypatch.setattr(qa_figures, "glance_at_answers", stop)
    training = recipe(data).training.model_dump() | {"checkpoint_steps": 10}
    settings = recipe(data, training=training)
    with pytest.raises(KeyboardInterrupt):
        train(settings, out=tmp_path / "run")
    monkeypatch.undo()
    train(settings, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == (run / "model/model.safetensors").read_bytes()
    assert (tmp_path / "run/evaluation.json").read_bytes() == (run / "evaluation.json").read_bytes()


def test_questions_without_an_answer(data: Path, tmp_path: Path) -> None:
    result = train(recipe(data, version="-2"), out=tmp_path / "run")
    scores = result.evaluation["test"]["scores"]
    assert scores["f1"] > 75
    assert scores["f1_with_answer"] > 60
    assert scores["f1_without_answer"] > 60
    answer = hanmo.pipeline("question-answering", tmp_path / "run" / "model")
    assert answer.answerer.settings.no_answer is not None
    context = "Anna lives in Rome. 小明 lives in 西安. It is 3."
    told = [answer(question=f"Where does {name} live 住哪?", context=context)["answer"] for name in ("Anna", "老王")]
    assert told == ["Rome", ""]


def test_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    """Its vocabulary has none of the words; that it is built, told of matches, trained and saved is what counts."""
    folder = write_reader(tmp_path / "bert", "BertForMaskedLM")
    model = {"checkpoint": str(folder), "match_features": True}
    result = train(recipe(data, model=model, training={"n_steps": 4}), out=tmp_path / "run")
    assert result.model is not None
    saved = hanmo.load(tmp_path / "run" / "model")
    assert (saved.model.architecture, saved.config.n_segments) == ("BertForQuestionAnswering", 3)
    plain = train(recipe(data, model={"checkpoint": str(folder)}, training={"n_steps": 1}), out=tmp_path / "plain")
    assert hanmo.load(plain.run / "model").config.n_segments == 2


def test_a_plan(data: Path, tmp_path: Path) -> None:
    from hanmo.core.toml import to_toml

    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data, version="-2").model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "180 train, 45 dev, 60 test" in text
    assert "answer 120, no answer 60" in text
    assert "BiLSTMForQuestionAnswering" in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), AnsweringRecipe)
    with pytest.raises(ConfigError, match=r"encoder = 'bag'"):
        read_recipe(tmp_path / "recipe.toml", ["model.encoder=bag"])
    small = {"encoder": "transformer", "d_embedding": 8, "n_heads": 2, "max_len": 16}
    with pytest.raises(DataError, match=r"qas\[0\] \(id 0-0-0\): a question of 8 tokens leaves too little of 16"):
        plan(recipe(data, model=small))


def test_a_question_that_is_too_long_is_named_before_training(data: Path, tmp_path: Path) -> None:
    content = questions(4, 9)
    content["data"][0]["paragraphs"][2]["qas"][1]["question"] = "哪里 " * 80
    (tmp_path / "test.json").write_text(json.dumps(content))
    found = recipe(data).model_dump(exclude_unset=True)
    found["data"]["test"] = str(tmp_path / "test.json")
    with pytest.raises(DataError, match="question") as error:
        train(AnsweringRecipe.model_validate(found), out=tmp_path / "run")
    assert "paragraphs[2].qas[1]" in str(error.value)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
