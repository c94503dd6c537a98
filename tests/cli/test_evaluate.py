"""`hanmo evaluate`: a model writes programs, which are run in the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROBLEM = {
    "task_id": "own/0", "entry_point": "double", "prompt": "def double(x):\n    \"\"\"两倍。\"\"\"\n",
    "canonical_solution": "    return 2 * x\n", "test": "def check(f):\n    assert f('字') == '字字'\n",
}  # fmt: skip


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps(PROBLEM))
    return path


@pytest.mark.usefixtures("jail")
def test_a_model_writes(problems: Path, tmp_path: Path, model: Path, hanmo: Callable[..., Any]) -> None:
    out = tmp_path / "out.jsonl"
    command = ["evaluate", model, "--benchmark", "humaneval", "--file", problems, "--n", 2, "--k", 1, "--k", 2]
    command += ["--max-new-tokens", 8, "--out", out, "--json"]
    done = hanmo(*command)
    assert done.code == 0, done.err
    assert json.loads(done.out)["samples"] == 2
    assert json.loads(done.out)["pass@2"] == 0.0
    assert json.loads(hanmo(*command).out) == json.loads(done.out)
    hanmo(*command[:-1], "--temperature", 0.5).refused("another model or other settings")


@pytest.mark.usefixtures("jail")
def test_solutions(problems: Path, hanmo: Callable[..., Any]) -> None:
    shown = hanmo("evaluate", "--benchmark", "humaneval", "--file", problems, "--canonical")
    assert "100.00%" in shown.out


def test_wrong_use(problems: Path, hanmo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    hanmo("evaluate", "--benchmark", "humaneval", "--file", problems).refused("exclude", code=2)
    for option in ("--n", "--k", "--limit", "--workers", "--max-new-tokens", "--seconds"):
        hanmo("evaluate", "runs/x", "--benchmark", "mbpp", option, 0).refused(option, code=2)
    hanmo("evaluate", "runs/x", "--benchmark", "mbpp", "--n", 1, "--k", 5).refused("pass@5", code=2)
    monkeypatch.setattr("hanmo.evaluation.sandbox.run.check_isolation", lambda: "it is not Linux")
    hanmo("evaluate", "--benchmark", "humaneval", "--file", problems, "--canonical").refused("cannot shut programs in")


def test_labelled_examples(tmp_path: Path, hanmo: Callable[..., Any]) -> None:
    from tests.stories.test_judge import recipe, reviews

    from hanmo.stories.train import train

    for seed, name in enumerate(("train", "dev", "test")):
        lines = [json.dumps(row, ensure_ascii=False) for row in reviews(30, seed)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    run = train(recipe(tmp_path), out=tmp_path / "run").run
    shown = hanmo("evaluate", run)
    assert shown.code == 0, shown.err
    assert f"{run} on 30 examples of {tmp_path / 'test.jsonl'}" in shown.out
    assert "\n  accuracy     " in shown.out
    told = hanmo("evaluate", run, "--against", run / "model", "--file", tmp_path / "dev.jsonl", "--json")
    assert json.loads(told.out)["tests"]["accuracy"]["p_value"] == 1.0
    hanmo("evaluate").refused("no model is given")
    hanmo("evaluate", run, "--n", 3).refused("--n is for a benchmark")
    hanmo("evaluate", run, "--benchmark", "humaneval", "--against", run).refused("--against is for labelled examples")
    hanmo("evaluate", run, "--set", "data.label=nope").refused("no nope")
    hanmo("evaluate", run, "--task", "poetry", "--file", tmp_path / "dev.jsonl").refused("poetry")
