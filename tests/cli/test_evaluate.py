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
