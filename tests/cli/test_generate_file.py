"""`hanmo generate --prompts`: files of prompts, forms, and going on after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.generation.forms import parse_form
from hanmo.tasks.prompt_writer import PromptWriter

PROMPTS = [
    {"prompt": "老先生清早写，", "id": 1},
    {"prompt": "小徒弟下雪时，", "form": "6x2"},
    {"prompt": "a list:", "form": "(\\n- [a-z ]{3,9}){2}"},
]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in PROMPTS[:2]))
    return path


def test_each_keeps_to_its_form(model: Path, prompts: Path, tmp_path: Path, hanmo: Callable[..., Any]) -> None:
    prompts.write_text(
        "\n".join(json.dumps(row, ensure_ascii=False) for row in PROMPTS).replace("小徒弟下雪时", "小徒弟下雪的")
    )
    out = tmp_path / "out.jsonl"
    shown = hanmo(
        "generate",
        model,
        "--prompts",
        prompts,
        "--out",
        out,
        "--form",
        "6x4",
        "--n",
        2,
        "--seed",
        1,
        "--max-new-tokens",
        60,
    )
    assert shown.code == 0, shown.err
    assert "6 texts for 3 prompts" in shown.out
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row.get("id") for row in rows] == [1, None, None]
    for row, form in zip(rows, ["6x4", "6x2", PROMPTS[2]["form"]], strict=True):
        rule = parse_form(str(form))
        for text in row["texts"]:
            assert rule.holds(row["prompt"] + text if rule.counts_prompt else text), text


def test_goes_on_where_it_was_stopped(
    model: Path, prompts: Path, tmp_path: Path, hanmo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["generate", model, "--prompts", prompts, "--max-new-tokens", 5, "--seed", 3, "--out"]
    assert hanmo(*command, tmp_path / "whole.jsonl").code == 0
    answers, n_calls = PromptWriter.answers, 0

    def breaks(self: PromptWriter, items: list[Any], **options: Any) -> list[Any]:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 2:
            raise KeyboardInterrupt
        return answers(self, items, **options)

    monkeypatch.setattr(PromptWriter, "at_once", 1)
    monkeypatch.setattr(PromptWriter, "answers", breaks)
    stopped = hanmo(*command, tmp_path / "parts.jsonl")
    assert (stopped.code, stopped.err.splitlines()[-1]) == (130, "Interrupted.")
    assert len((tmp_path / "parts.jsonl.partial").read_text().splitlines()) == 1
    assert hanmo(*command, tmp_path / "parts.jsonl").code == 0
    assert (tmp_path / "parts.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert n_calls == 3


def test_bad_input(model: Path, prompts: Path, tmp_path: Path, hanmo: Callable[..., Any]) -> None:
    out = tmp_path / "out.jsonl"
    hanmo("generate", model, "--prompts", prompts).refused("belong together", code=2)
    hanmo("generate", model, "--prompts", prompts, "--out", out, "--form", "(").refused("form", code=2)
    prompts.write_text('"老先生，"\n{"prompt": "长得多的一行，"}')
    hanmo("generate", model, "--prompts", prompts, "--out", out, "--form", "3x2").refused(
        "prompts.jsonl:2", "does not fit"
    )
    prompts.write_text('{"prompt": 3}')
    hanmo("generate", model, "--prompts", prompts, "--out", tmp_path / "b.jsonl").refused(
        "prompts.jsonl:1", "no prompt"
    )
    hanmo("generate", model, "白日依山尽，", "--form", "7x4").refused("'，' at character 6", code=2)


def test_one_poem(model: Path, hanmo: Callable[..., Any]) -> None:
    shown = hanmo("generate", model, "白日依山尽，", "--form", "5x2", "--max-new-tokens", 100, "--temperature", 0)
    assert parse_form("5x2").holds(shown.out[:-1]), shown
