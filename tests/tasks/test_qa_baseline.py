"""Answers without training."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.metrics.answers import squad_scores
from hanmo.metrics.cmrc import cmrc_scores
from hanmo.tasks.qa_baseline import overlap_answer, overlap_answers
from hanmo.tasks.qa_examples import AnswerData, read_questions

TEXT = "It rained in Rome. The old teacher wrote a letter to Anna, and Tom read a book in Lyon. Snow fell in Oslo."
中文 = "罗马下雨。老先生给安娜写信，汤姆在里昂读书。奥斯陆下雪。"


@pytest.mark.parametrize(
    ("question", "context", "answer"),
    [
        ("The old teacher wrote a letter to ?", TEXT, "Anna"),
        ("Snow fell in which city?", TEXT, "Oslo"),
        ("汤姆在哪里读书？", 中文, "昂"),
        ("老先生给谁写信？", 中文, "安娜"),
        ("Who?", "Teacher", "Teacher"),
        ("Who?", "…", ""),
        ("ısı İSTANBUL", "İSTANBUL Çay, y", "Çay"),
    ],
)
def test_answers(question: str, context: str, answer: str) -> None:
    assert overlap_answer(question, context) == answer


@given(st.text(), st.text())
def test_an_answer_is_a_part_of_its_text(question: str, context: str) -> None:
    answer = overlap_answer(question, context)
    assert answer in context


@pytest.mark.parametrize(("name", "least", "most"), [("xquad/xquad.en.part1.json.gz", 12, 30), ("cmrc2018/cmrc2018_dev.json.gz", 20, 40)])  # fmt: skip
def test_real_questions(data_root: Path, name: str, least: float, most: float) -> None:
    """Far better than chance and far from a model, as the sliding window of Rajpurkar et al. (2016): F1 20."""
    splits = read_questions(AnswerData(train=str(data_root / name), misplaced="repair"), seed=0)
    some = splits.train[:400]
    told = overlap_answers([(example.question, example.context) for example in some])
    scores = (cmrc_scores if "cmrc" in name else squad_scores)(told, [example.answers for example in some])
    assert least < scores.f1 < most
