"""Figures of answers are those of the official scripts."""

from __future__ import annotations

import numpy as np
import pytest

from hanmo.metrics.answers import squad_scores
from hanmo.metrics.cmrc import cmrc_scores
from hanmo.tasks.qa_examples import QaExample
from hanmo.tasks.qa_figures import (
    best_threshold,
    glance_at_answers,
    qa_figures,
    qa_records,
    question_scores,
    rules_of,
)
from hanmo.tasks.question_answerer import Answer, Found


def example(*answers: str, context: str = "The old teacher wrote to Anna in 1987.") -> QaExample:
    spans = tuple((context.find(a), context.find(a) + len(a)) for a in answers if a in context)
    return QaExample("1", "Who wrote?", context, answers, spans, "a", "file: 1")


def found(text: str, score: float, none: float) -> Found:
    return Found((Answer(text, 0, len(text), score),), none)


ENGLISH = [example("the old teacher", "teacher"), example("Anna"), example("1987", "in 1987"), example("Anna")]
CHINESE = [example("老先生", context="老先生写信"), example("写信", "信", context="老先生写信")]
TOLD = ["The teacher", "to Anna", "1987", "Oslo"]


def test_rules() -> None:
    assert rules_of(ENGLISH) == "squad"
    assert rules_of(CHINESE) == "cmrc"
    assert rules_of([example()]) == "squad"


@pytest.mark.parametrize("none", [False, True])
def test_english_figures(none: bool) -> None:
    examples = [*ENGLISH, example(), example()] if none else ENGLISH
    told = [*TOLD, "", "Anna"] if none else TOLD
    right = squad_scores(told, [example.answers for example in examples], version="2.0" if none else "1.1")
    figures = qa_figures(told, examples, "squad", seed=0).to_dict(seed=0)
    assert figures["scores"]["exact"] == pytest.approx(right.exact)
    assert figures["scores"]["f1"] == pytest.approx(right.f1)
    assert 0 < right.exact < right.f1 < 100
    if none:
        assert (figures["scores"]["exact_with_answer"], figures["scores"]["f1_with_answer"]) == pytest.approx(
            right.with_answer
        )
        assert figures["scores"]["f1_without_answer"] == 50
    else:
        assert set(figures["scores"]) == {"f1", "exact", "baseline_f1", "baseline_exact"}
    interval = figures["intervals"]["f1"]
    assert interval["low"] <= right.f1 <= interval["high"]
    test = figures["against_baseline"]
    assert test["difference"] == pytest.approx(right.f1 - figures["scores"]["baseline_f1"])


def test_chinese_figures() -> None:
    told = ["老先生写信", "信"]
    right = cmrc_scores(told, [example.answers for example in CHINESE])
    scores = question_scores(told, CHINESE, "cmrc")
    assert scores.mean(axis=0) == pytest.approx([right.exact, right.f1])
    assert scores.tolist() == [[0.0, pytest.approx(75.0)], [100.0, 100.0]]
    none = question_scores(["", *told, "信"], [example(context="写信"), *CHINESE, example(context="写信")], "cmrc")
    assert none[:, 1].tolist() == [100.0, pytest.approx(75.0), 100.0, 0.0]
    assert question_scores([""], [example()], "cmrc").tolist() == [[100.0, 100.0]]


def test_the_threshold_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    examples = [example("Anna") if number % 3 else example() for number in range(40)]
    answers = [found("Anna", float(score), float(none)) for score, none in rng.uniform(0.01, 0.9, (40, 2))]

    def f1(threshold: float) -> float:
        return question_scores([one.best(threshold) for one in answers], examples, "squad")[:, 1].mean()

    threshold, value = best_threshold(answers, examples, "squad")
    assert f1(threshold) == pytest.approx(value)
    assert value == pytest.approx(max(f1(one.doubt + step) for one in answers for step in (-1e-9, 1e-9)))
    assert glance_at_answers(answers, examples, "squad", may_be_none=True)["error"] == pytest.approx(1 - value / 100)
    plain = glance_at_answers(answers, examples, "squad", may_be_none=False)
    assert plain["f1"] == pytest.approx(f1(1e9))


def test_records() -> None:
    answers = [found("The teacher", 0.5, 0.1), found("Oslo", 0.4, 0.2), found("Rome", 0.9, 0.2)]
    examples = [ENGLISH[0], ENGLISH[1], example("Anna", context="x " * 300 + "Anna" + " y" * 300)]
    records = qa_records(answers, ["The teacher", "Oslo", "Rome"], examples, "squad")
    assert [(row["predicted"], row["right"]) for row in records] == [
        ("Rome", False),
        ("Oslo", False),
        ("The teacher", True),
    ]
    assert records[0]["length"] == 1204
    assert "Anna" in records[0]["pair"]
    assert len(records[0]["pair"]) < 320
    assert records[2]["label"] == ["the old teacher", "teacher"]
