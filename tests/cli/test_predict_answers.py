"""`hanmo predict question-answering`, and `hanmo train` with questions, through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiny_reader import CHINESE, PAIRS, write_reader

RECIPE = """
task = "question-answering"
[data]
train = "{train}"
[model]
min_count = 1
[training]
n_steps = 1
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reader(tmp_path_factory.mktemp("cli") / "reader")


def test_a_question(hanmo: Callable[..., Any], reader: Path, tmp_path: Path) -> None:
    question = PAIRS[2][0]
    shown = hanmo("predict", "question-answering", reader, question, "--context", CHINESE)
    assert shown.code == 0, shown.err
    score, answer = shown.out.strip().split("  ", 1)
    assert 0 < float(score) < 1
    assert answer in CHINESE
    (tmp_path / "letter.txt").write_text(CHINESE, encoding="utf-8")
    same = hanmo("predict", "question-answering", reader, question, "--context", tmp_path / "letter.txt")
    assert same.out == shown.out
    asked = ("predict", "question-answering", reader, question, "--context", CHINESE, "--json")
    found = json.loads(hanmo(*asked).out)
    assert found["answer"] == answer == CHINESE[found["start"] : found["end"]]
    assert len(json.loads(hanmo(*asked, "--top-k", "3").out)) == 3
    assert hanmo(*asked[:-1], "--top-k", "3").out.count("\n") == 3


def test_refused(hanmo: Callable[..., Any], reader: Path, tmp_path: Path) -> None:
    hanmo("predict", "question-answering", reader, "Who?").refused("--context", "a question needs a text")
    hanmo("predict", "ner", reader, "Who?", "--context", "x").refused("ner reads no --context")
    hanmo("predict", "question-answering", reader, "Who?", "--context", " ").refused("an empty context")
    hanmo("predict", "text-classification", reader, "Who?").refused("does not tell classes")
    (tmp_path / "in.txt").write_text("Who?\n")
    out = ("--out", tmp_path / "out.jsonl")
    hanmo("predict", "question-answering", reader, "--file", tmp_path / "in.txt", *out).refused("in.txt:1")


def test_bad_questions(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    wrong = {"id": "q7", "question": "Who?", "answers": [{"text": "Anna", "answer_start": 1}]}
    content = {"data": [{"paragraphs": [{"context": "Anna wrote.", "qas": [wrong]}]}]}
    (tmp_path / "train.json").write_text(json.dumps(content))
    (tmp_path / "recipe.toml").write_text(RECIPE.format(train=tmp_path / "train.json"))
    out = hanmo("train", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    out.refused(
        "train.json: data[0].paragraphs[0].qas[0] (id q7)", "'Anna' stands at 0, not at 1", 'misplaced = "repair"'
    )
    hanmo("train", tmp_path / "recipe.toml", "--set", "data.misplaced=mend", "--out", tmp_path / "b").refused(
        "misplaced"
    )
