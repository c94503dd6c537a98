"""Graded answers are checked whole before anything is trained on them; grades stay on their scale."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hanmo.core.errors import DataError, ModelError
from hanmo.metrics.agreement import quadratic_kappa
from hanmo.models.cnn import CNNConfig, cnn
from hanmo.tasks.grader import Grader, GradingPipeline
from hanmo.tasks.grading_examples import GradingData, Scale, read_graded
from hanmo.tasks.grading_figures import glance_at_grades, grading_figures, grading_records
from hanmo.tasks.splits import Splits
from hanmo.tasks.text_classification import encode_examples
from hanmo.tasks.text_examples import TextExample
from hanmo.tokenizers.words import train_words

ROWS: list[dict[str, Any]] = [
    {"question": "What do plants make from light?", "reference": "sugar and oxygen", "answer": "sugar, oxygen", "score": 2},
    {"question": "What do plants make from light?", "reference": "sugar and oxygen", "answer": "oxygen", "score": 1},
    {"question": "光合作用的产物是什么？", "reference": "糖和氧气", "answer": "产生氧气和糖", "score": 2},
    {"question": "光合作用的产物是什么？", "reference": "糖和氧气", "answer": "二氧化碳", "score": 0},
]  # fmt: skip


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def read(folder: Path, rows: list[dict[str, Any]], **more: Any) -> tuple[Splits[TextExample], Scale]:
    dev = write(folder, "dev", more.pop("dev", [{**ROWS[0], "answer": "x"}, {**ROWS[1], "answer": "y"}]))
    values = {"train": write(folder, "train", rows), "dev": dev} | more
    return read_graded(GradingData.model_validate(values), seed=0)


def test_what_is_read(tmp_path: Path) -> None:
    splits, scale = read(tmp_path, ROWS)
    assert scale == Scale(0, 2, 1)
    assert splits.train[2] == TextExample("产生氧气和糖", "糖和氧气", 2.0, f"{tmp_path}/train.jsonl:3")
    splits, scale = read(tmp_path, ROWS, question="question", highest=4, step=0.5)
    assert splits.train[0].pair == "What do plants make from light?\nsugar and oxygen"
    assert scale == Scale(0, 4, 0.5)
    # the same answer to another reference is another example
    assert len(read(tmp_path, ROWS, dev=[ROWS[0] | {"reference": "其他"}, ROWS[1] | {"reference": "x"}])[0].train) == 4


@pytest.mark.parametrize(
    ("row", "more", "match"),
    [
        ({"score": "good"}, {}, r"train\.jsonl:5: the grade 'good' is no number"),
        ({"score": None}, {}, "the grade None is no number"),
        ({"score": float("inf")}, {}, "the grade inf is not finite"),
        ({"score": 1.5}, {}, r"train\.jsonl:5: 1\.5 lies between the steps of 1.*lowest, highest and step"),
        ({"score": 3}, {"highest": 2}, r"train\.jsonl:5: 3 is outside 0\.\.2"),
        (
            {},
            {"dev": [ROWS[0] | {"answer": "x", "score": 5}, ROWS[1] | {"answer": "y"}]},
            r"dev\.jsonl:1: 5 is outside",
        ),
        ({}, {"dev": [ROWS[0] | {"answer": "x"}]}, r"dev\.jsonl: all 1 grades are 2"),
        ({}, {"dev": [*ROWS[1:2], ROWS[3]]}, r"train\.jsonl:2 is in dev \(.*dev\.jsonl:1\)"),
        ({"answer": " "}, {}, r"train\.jsonl:5: an empty answer.*\"keep\" learns them"),
        ({"reference": "", "answer": ""}, {"empty": "keep"}, r"train\.jsonl:5: an empty reference"),
        ({"answer": 7}, {}, r"train\.jsonl:5: the answer is a int"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, row: dict[str, Any], more: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(tmp_path, [*ROWS, ROWS[0] | {"answer": "something"} | row], **more)


def test_a_missing_column_and_settings(tmp_path: Path) -> None:
    rows = [{"answer": "a", "score": 1}]
    with pytest.raises(DataError, match=r"train\.jsonl:1: no reference"):
        read(tmp_path, rows)
    with pytest.raises(ValidationError, match="lowest = 5 is not below highest = 5"):
        GradingData(train=write(tmp_path, "train", ROWS), lowest=5, highest=5)


def test_empty_answers(tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0] | {"answer": "", "score": 0}]
    splits, _ = read(tmp_path, rows, empty="drop")
    assert (len(splits.train), splits.notes) == (4, {"empty answers left out": 1})
    assert read(tmp_path, rows, empty="keep")[0].train[4].text == ""


def test_the_scale() -> None:
    scale = Scale(0, 5, 0.5)
    assert scale.n_steps == 10
    assert [scale.steps(score) for score in (-3, 0, 0.2, 2.6, 5, 9)] == [0, 0, 0, 5, 10, 10]


def test_figures() -> None:
    scale = Scale(1, 4, 1)
    right = [1.0, 2.0, 4.0, 3.0, 2.0]
    examples = [TextExample("a", "b", grade, f"f:{n}") for n, grade in enumerate(right)]
    grades = np.array([1.2, 2.4, 2.6, 3.0, 3.4])
    figures = grading_figures(grades, examples, scale).to_dict(seed=0)
    scores = figures["scores"]
    assert scores["quadratic_kappa"] == pytest.approx(quadratic_kappa([1, 2, 3, 3, 3], [1, 2, 4, 3, 2], low=1, high=4))
    assert scores["pearson"] == pytest.approx(np.corrcoef(grades, right)[0, 1])
    assert scores["same_grade"] == 0.6
    assert scores["mean_absolute_error"] == pytest.approx(np.abs(grades - right).mean())
    assert all(figures["intervals"][name]["low"] <= value <= figures["intervals"][name]["high"] for name, value in scores.items())  # fmt: skip
    seen = glance_at_grades(grades, examples, scale)
    assert seen["quadratic_kappa"] == pytest.approx(scores["quadratic_kappa"])
    assert seen["loss"] == pytest.approx(((grades - right) ** 2).mean() / 9)
    # of whole grades the concordance is the kappa; of others it says more
    whole = glance_at_grades(np.array([1.0, 2, 3, 3, 3]), examples, scale)
    assert whole["error"] == pytest.approx(1 - scores["quadratic_kappa"])
    assert seen["error"] != pytest.approx(whole["error"])
    assert glance_at_grades(np.full(5, 2.0), examples, scale)["error"] == pytest.approx(1)
    records = grading_records(grades, examples, scale)
    assert [record["where"] for record in records][:2] == ["f:2", "f:4"]
    assert [record["right"] for record in records] == [False, False, True, True, True]
    perfect = grading_figures(np.array(right), examples, scale).to_dict(seed=0)["scores"]
    assert (perfect["quadratic_kappa"], perfect["same_grade"], perfect["mean_absolute_error"]) == (1, 1, 0)


def grader(**more: Any) -> Grader:
    tokenizer = train_words(["sugar and oxygen 糖和氧气 light"], 50, segments=False)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"labels": ("score",), "problem_type": "regression", "d_embedding": 8, "d_filters": 4}
    return Grader(cnn(CNNConfig(vocab_size=tokenizer.vocab_size, **shape)), tokenizer, **more)


def test_grades_stay_on_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    one = grader(scale=Scale(2, 6, 1), asks=False)
    pipe = GradingPipeline(one)
    item = {"answer": "sugar", "reference": "sugar and oxygen"}
    assert pipe({"text": "sugar", "text_pair": "sugar and oxygen"}) == pipe(item) == pipe([item])[0]
    share = one.scores([("sugar", "sugar and oxygen")])[0, 0]
    assert one.grade([("sugar", "sugar and oxygen")], clip=False) == pytest.approx(2 + 4 * share)
    monkeypatch.setattr(one, "scores", lambda pairs: np.array([[-0.5], [0.25], [1.7]]))
    assert pipe([item] * 3) == [{"score": 2.0}, {"score": 3.0}, {"score": 6.0}]


def test_refused() -> None:
    pipe = GradingPipeline(grader(scale=Scale(0, 2, 1), asks=True))
    for wrong in ("a", {"answer": "a"}, {"reference": "a"}, [{"answer": 1, "reference": "b"}]):
        with pytest.raises(DataError, match="no answer and reference"):
            pipe(wrong)
    with pytest.raises(DataError, match="reads the question too"):
        pipe({"answer": "a", "reference": "b"})
    plain = GradingPipeline(grader(scale=Scale(0, 2, 1), asks=False))
    with pytest.raises(DataError, match="trained without questions"):
        plain({"answer": "a", "reference": "b", "question": "c"})
    with pytest.raises(ModelError, match="was not trained to grade answers"):
        grader()


def test_two_long_texts_are_named(tmp_path: Path) -> None:
    tokenizer = train_words(["a b"], 10)
    examples = [TextExample("a", "b", 1.0, "train.jsonl:1"), TextExample("a " * 20, "b " * 20, 1.0, "train.jsonl:2")]
    with pytest.raises(DataError, match=r"^train\.jsonl:2: both texts of a pair are long"):
        encode_examples(examples, tokenizer, ("score",), "regression", max_len=24, overlap=4, notes=Counter())


@pytest.mark.parametrize(
    ("scores", "more"),
    [
        ([0, 1e308, -1e308], {}),
        ([0, 1, 2], {"step": 1e-12}),
        ([0, 1, 2], {"lowest": -1e308, "highest": 1e308}),
        ([0, 5e-324, 1], {"step": 5e-324}),
    ],
)
def test_scales_that_no_table_can_hold(scores: list[float], more: dict[str, float], tmp_path: Path) -> None:
    rows = [{"answer": f"答案{number}", "reference": "对", "score": score} for number, score in enumerate(scores * 4)]
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(DataError, match="more than 1,000 steps"):
        read_graded(
            GradingData.model_validate({"train": str(tmp_path / "train.jsonl"), "dev_fraction": 0.5} | more), seed=0
        )
