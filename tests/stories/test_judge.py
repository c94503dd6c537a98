"""Trained models on other labelled examples, and two of them compared: all from finished runs at toy size."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.tasks.test_zero_shot import write_nli

import hanmo
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.metrics import classification_examples, paired_bootstrap
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.grading_recipe import GradingRecipe
from hanmo.stories.judge import evaluate
from hanmo.stories.qa_recipe import AnsweringRecipe
from hanmo.stories.similarity_recipe import SimilarityRecipe
from hanmo.stories.tagging_recipe import TaggingRecipe
from hanmo.stories.train import train
from hanmo.stories.translation_recipe import TranslationRecipe

GOOD = ["房间很干净", "服务很热情", "a fine film", "well worth it"]
BAD = ["房间太小", "服务很差", "a dull film", "not worth it"]
TRAINING = {"epochs": 4, "lr": 5e-3, "checkpoint_seconds": None}
SMALL = {"encoder": "cnn", "d_embedding": 16, "d_hidden": 8}


def _lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def reviews(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        {"text": f"{draw.choice(BAD if k % 2 else GOOD)} {draw.randrange(10**6)}", "label": ["好", "差"][k % 2]}
        for k in range(n)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    for seed, (name, n) in enumerate({"train": 60, "dev": 10, "test": 20, "other": 16}.items()):
        _lines(folder / f"{name}.jsonl", reviews(n, seed))
    return folder


def recipe(home: Path, **more: Any) -> ClassificationRecipe:
    data = {name: str(home / f"{name}.jsonl") for name in ("train", "dev", "test")}
    values = {"data": data, "model": SMALL, "batch_size": 8, "training": TRAINING}
    return ClassificationRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    return train(recipe(home), out=home / "good").run


@pytest.fixture(scope="module")
def worse(home: Path) -> Path:
    return train(recipe(home, training={"n_steps": 1, "lr": 1e-5}, seed=1), out=home / "worse").run


@pytest.mark.parametrize("place", ["", "model"])
def test_its_own_test_set_again(run: Path, place: str, tmp_path: Path) -> None:
    found = evaluate(run / place, out=tmp_path / "told.jsonl")
    assert found.figures == json.loads((run / "evaluation.json").read_text())["test"]
    told = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    written = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [{"split": "test"} | line for line in written] == [line for line in told if line["split"] == "test"]
    assert found.figures["intervals"].keys() == found.figures["scores"].keys()


def test_another_file(run: Path, home: Path) -> None:
    found = hanmo.evaluate(run, file=home / "other.jsonl")
    assert found.figures["n"] == 16
    assert found.notes == {}
    # a part of what it learned from is not what a test is
    mixed = home / "mixed.jsonl"
    mixed.write_text(
        "\n".join([(home / "other.jsonl").read_text(), *(home / "train.jsonl").read_text().split("\n")[:5]])
    )
    assert evaluate(run, file=mixed).notes == {"of them are also in the training data": 5}
    table = home / "other.tsv"
    table.write_text("".join(f"{'正' if row['label'] == '好' else '负'}\t{row['text']}\n" for row in reviews(16, 3)))
    names = ["data.text=2", "data.label=1", 'data.names={"正"="好", "负"="差"}']
    again = evaluate(run, file=table, overrides=names)
    assert again.figures == found.figures
    (home / "train.jsonl").rename(home / "gone.jsonl")  # what it learned from need not be there
    try:
        assert evaluate(run, file=table, overrides=names).figures == found.figures
    finally:
        (home / "gone.jsonl").rename(home / "train.jsonl")


def test_two_models(run: Path, worse: Path, home: Path) -> None:
    found = evaluate(run, against=worse)
    assert found.tests is not None
    rows: dict[str, dict[str, Any]] = {}
    for path in (run, worse):
        lines = [json.loads(line) for line in (path / "predictions.jsonl").read_text().splitlines()]
        rows[str(path)] = {line["where"]: line for line in lines if line["split"] == "test"}
    order = [f"{home / 'test.jsonl'}:{number}" for number in range(1, 21)]
    metrics = [
        classification_examples(
            "accuracy", [told[at]["predicted"] for at in order], [told[at]["label"] for at in order]
        )
        for told in rows.values()
    ]
    assert found.tests["accuracy"] == paired_bootstrap(*metrics, seed=0)
    assert found.tests["accuracy"].p_value < 0.05
    assert found.tests.keys() == found.figures["scores"].keys()
    assert found.against_figures is not None
    assert found.against_figures["scores"] == json.loads((worse / "evaluation.json").read_text())["test"]["scores"]
    back = evaluate(worse, against=run, file=home / "test.jsonl")
    assert back.tests is not None
    assert back.tests["mcc"].difference == pytest.approx(-found.tests["mcc"].difference)
    same = evaluate(run, against=run / "model")
    assert same.tests is not None
    assert {test.p_value for test in same.tests.values()} == {1.0}
    assert "A - B" in found.summary()
    assert json.loads(json.dumps(found.to_dict()))["tests"]["accuracy"]["n_examples"] == 20


def test_a_model_without_a_run(run: Path, home: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run / "model", tmp_path / "model")
    with pytest.raises(ConfigError, match="no run that says how examples are read"):
        evaluate(tmp_path / "model")
    wanted = evaluate(run).figures
    assert evaluate(tmp_path / "model", recipe=run / "recipe.toml").figures == wanted
    by_task = evaluate(tmp_path / "model", task="text-classification", file=home / "test.jsonl")
    assert by_task.figures == wanted
    beside = evaluate(tmp_path / "model", recipe=run / "recipe.toml", against=run)
    assert beside.against_figures == wanted


def test_what_is_set_aside(home: Path, tmp_path: Path) -> None:
    data = {"train": str(home / "train.jsonl"), "test_fraction": 0.25}
    result = train(recipe(home, data=data), out=tmp_path / "run")
    assert evaluate(result.run).figures == result.evaluation["test"]
    assert "set aside" in evaluate(result.run).source


def test_the_best_of_a_study(home: Path, tmp_path: Path) -> None:
    asked = recipe(home, study={"search": {"training.lr": [1e-6, 5e-3]}}, training={"epochs": 2})
    result = train(asked, out=tmp_path / "study")
    best = json.loads((tmp_path / "study/evaluation.json").read_text())["best_run"]
    found = evaluate(result.run)
    assert found.figures == json.loads((tmp_path / "study" / best / "evaluation.json").read_text())["test"]


def test_classes_that_nobody_trained_for(run: Path, home: Path, tmp_path: Path) -> None:
    nli = write_nli(tmp_path / "nli")
    found = evaluate(nli, task="zero-shot-classification", file=home / "other.jsonl", template="这句话说的是{}。")
    texts = [row["text"] for row in reviews(16, 3)]
    told = hanmo.pipeline("zero-shot-classification", nli)(
        texts, candidate_labels=["好", "差"], hypothesis_template="这句话说的是{}。"
    )
    right = [row["label"] for row in reviews(16, 3)]
    accuracy = sum(one["labels"][0] == label for one, label in zip(told, right, strict=True)) / 16
    assert found.figures["scores"]["accuracy"] == pytest.approx(accuracy)
    assert found.task == "zero-shot-classification"
    beside = evaluate(nli, task="zero-shot-classification", recipe=run / "recipe.toml", against=run)
    assert beside.against_figures == json.loads((run / "evaluation.json").read_text())["test"]
    with pytest.raises(ConfigError, match="no place for a label"):
        evaluate(nli, task="zero-shot-classification", file=home / "other.jsonl", template="这句话")
    with pytest.raises(ConfigError, match="classes that nobody trained for"):
        evaluate(run, template="{}")
    with pytest.raises(ConfigError, match="pairs are not told"):
        evaluate(
            nli, task="zero-shot-classification", file=home / "other.jsonl", overrides=["data.pair=text"],
        )  # fmt: skip


def _sentences(path: Path, n: int, seed: int) -> str:
    draw = random.Random(seed)
    names = ["李明", "王芳", "张伟"]
    lines = []
    for _ in range(n):
        words = [(letter, "B-PER" if k == 0 else "E-PER") for k, letter in enumerate(draw.choice(names))]
        words += [(letter, "O") for letter in f"来了{draw.randrange(100)}"]
        lines.append("\n".join(f"{word} {tag}" for word, tag in words))
    path.write_text("\n\n".join(lines) + "\n")
    return str(path)


def _questions(path: Path, n: int, seed: int) -> str:
    draw = random.Random(seed)
    paragraphs = []
    for number in range(n):
        name = draw.choice(["anna", "john", "maria"]) + str(draw.randrange(1000))
        context = f"{name} lives in rome {seed} {number}"
        answers = [{"text": name, "answer_start": 0}]
        paragraphs.append(
            {"context": context, "qas": [{"id": f"{seed}-{number}", "question": "who?", "answers": answers}]}
        )
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return str(path)


def _tagging(folder: Path) -> TaggingRecipe:
    data = {name: _sentences(folder / f"{name}.conll", n, n) for name, n in {"train": 40, "dev": 8, "test": 10}.items()}
    return TaggingRecipe.model_validate(
        {
            "data": data | {"scheme": "BIOES", "leaks": "keep"}, "training": TRAINING, "batch_size": 8,
            "model": {"encoder": "bilstm", "d_embedding": 16, "d_hidden": 8, "crf": False},
        }
    )  # fmt: skip


def _answering(folder: Path) -> AnsweringRecipe:
    data = {name: _questions(folder / f"{name}.json", n, n) for name, n in {"train": 20, "dev": 5, "test": 8}.items()}
    model = {"encoder": "bilstm", "d_embedding": 16, "d_hidden": 8}
    return AnsweringRecipe.model_validate({"data": data, "training": {"epochs": 1}, "batch_size": 4, "model": model})


def _grading(folder: Path) -> GradingRecipe:
    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        draw = random.Random(seed)
        return [
            {"answer": f"{['错', '对'][k % 2]} {draw.randrange(10**6)}", "reference": "对", "score": 2 * (k % 2)}
            for k in range(n)
        ]

    data = {
        name: str(_lines(folder / f"{name}.jsonl", rows(n, n)))
        for name, n in {"train": 20, "dev": 6, "test": 8}.items()
    }
    return GradingRecipe.model_validate({"data": data, "training": {"epochs": 1}, "batch_size": 4, "model": SMALL})


def _similarity(folder: Path) -> SimilarityRecipe:
    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        draw = random.Random(seed)
        return [{"text": f"天气 {draw.randrange(10**6)}", "pair": f"weather {k} {n}"} for k in range(n)]

    data = {
        name: str(_lines(folder / f"{name}.jsonl", rows(n, n)))
        for name, n in {"train": 20, "dev": 6, "test": 8}.items()
    }
    values = {"data": data | {"kind": "pairs"}, "training": {"epochs": 1}, "batch_size": 4, "model": SMALL}
    return SimilarityRecipe.model_validate(values)


def _translation(folder: Path) -> TranslationRecipe:
    def rows(n: int) -> list[dict[str, Any]]:
        return [{"en": f"number {k} {n}", "zh": f"第{k}个{n}"} for k in range(n)]

    data = {
        name: str(_lines(folder / f"{name}.jsonl", rows(n))) for name, n in {"train": 20, "dev": 6, "test": 8}.items()
    }
    return TranslationRecipe.model_validate(
        {
            "data": data | {"source_language": "en", "target_language": "zh"}, "training": {"n_steps": 2},
            "model": {"d_model": 16, "n_layers": 1, "n_heads": 2, "d_ff": 32}, "tokenizer": {"vocab_size": 300},
            "decoding": {"num_beams": 2, "max_new_tokens": 8}, "batch_tokens": 200,
        }
    )  # fmt: skip


@pytest.mark.parametrize("make", [_tagging, _answering, _grading, _similarity, _translation])
def test_every_task(make: Callable[[Path], Any], tmp_path: Path) -> None:
    """What is said of the test set when a model is trained is said again of its stored form, and it is compared to itself."""
    result = train(make(tmp_path), out=tmp_path / "run")
    found = evaluate(result.run, against=result.run)
    scores, wanted = found.figures["scores"], result.evaluation["test"]["scores"]
    assert {name: scores[name] for name in scores} == pytest.approx({name: wanted[name] for name in scores}, abs=1e-5)
    assert set(wanted) == set(scores)
    assert found.tests is not None
    assert {test.difference for test in found.tests.values()} == {0.0}
    file = next(path for path in tmp_path.iterdir() if path.stem == "test")
    assert evaluate(result.run, file=file).figures["scores"] == pytest.approx(scores)


def test_several_tasks(home: Path, tmp_path: Path) -> None:
    from hanmo.stories.multi_task_recipe import MultiTaskRecipe

    data = {name: str(home / f"{name}.jsonl") for name in ("train", "dev", "test")}
    tags = {
        name: _sentences(tmp_path / f"{name}.conll", n, n) for name, n in {"train": 30, "dev": 6, "test": 8}.items()
    }
    asked = MultiTaskRecipe.model_validate(
        {
            "tasks": [
                {"name": "mood", "task": "text-classification", "data": data},
                {"name": "who", "task": "token-classification", "data": tags | {"scheme": "BIOES", "leaks": "keep"}},
            ],
            "model": SMALL | {"encoder": "bilstm"}, "training": {"epochs": 1}, "batch_size": 8,
        }
    )  # fmt: skip
    result = train(asked, out=tmp_path / "run")
    assert evaluate(result.run).figures["scores"] == pytest.approx(result.evaluation["test"]["scores"], abs=1e-5)
    with pytest.raises(ConfigError, match="several tasks; one file"):
        evaluate(result.run, file=home / "other.jsonl")
    one = evaluate(result.run / "model/mood", task="text-classification", file=home / "test.jsonl")
    assert one.figures["scores"]["accuracy"] == result.evaluation["test"]["scores"]["mood accuracy"]


def test_what_cannot_be_judged(run: Path, home: Path, tmp_path: Path) -> None:
    strange = _lines(tmp_path / "strange.jsonl", [*reviews(4, 5), {"text": "还行", "label": "中"}])
    with pytest.raises(DataError, match=r"strange.jsonl:5: the label '中'"):
        evaluate(run, file=strange)
    with pytest.raises(ConfigError, match="of kind 'single'"):
        evaluate(run, file=home / "other.jsonl", overrides=["data.kind=multi"])
    with pytest.raises(ModelError, match="no such model"):
        evaluate(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="cannot be compared"):
        evaluate(run, against=train(_grading(tmp_path), out=tmp_path / "graded").run)
    with pytest.raises(DataError, match="no nope"):
        evaluate(run, overrides=["data.label=nope"])
    three = [*reviews(30, 1), *({"text": f"一般 {number}", "label": "中"} for number in range(10))]
    other = recipe(home, data={"train": str(_lines(tmp_path / "three.jsonl", three))}, training={"n_steps": 1})
    with pytest.raises(ConfigError, match="different labels: 中"):
        evaluate(run, against=train(other, out=tmp_path / "three").run)
    with pytest.raises(ConfigError, match="no test set"):
        evaluate(tmp_path / "three")
    (tmp_path / "half").mkdir()
    record = json.loads((run / "run.json").read_text()) | {"status": "interrupted"}
    (tmp_path / "half/run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="this run is interrupted"):
        evaluate(tmp_path / "half")
