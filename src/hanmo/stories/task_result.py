"""What the story of a task came to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from hanmo.core.files import read_json
from hanmo.core.progress import format_duration
from hanmo.core.runs import RunFolder
from hanmo.stories.result import StoryResult, weights_file

__all__ = ["TaskResult", "describe_figures", "recorded_task"]

_FILES = (
    "evaluation.json", "predictions.jsonl", "recipe.toml", "report.html",
)  # fmt: skip
"""What a finished run has."""
_MODEL_FILES = ("config.json", "tokenizer_config.json")
"""What each of its model directories has."""


@dataclass(frozen=True, kw_only=True)
class TaskResult(StoryResult):
    """A model of a task, judged."""

    n_examples: int
    """Examples to learn from."""
    noun: str
    """What they are: "texts", "sentences", "questions"."""
    example: str
    """How to ask the model, but for its folder, as `verb` is typed: "text-classification {model} 'a text'"."""
    verb: str = "predict"
    """Which `hanmo` command asks it."""

    def told(self) -> list[str]:
        lines = [
            f"Trained {self.told_parameters} on {self.n_examples:,} {self.noun}, all in {format_duration(self.seconds)}."
        ]
        lines += [f"{split}: {describe_figures(found)}" for split, found in self.evaluation.items()]
        return [
            *lines,
            "",
            f"  report   {self.report}",
            f"  model    {self.model}",
            f"  errors   {self.run / 'predictions.jsonl'}",
            "",
            "Go on with:",
            f"  hanmo {self.verb} {self.example.format(model=shlex.quote(str(self.model)))}",
        ]


def describe_figures(figures: dict[str, Any]) -> str:
    """The figures of one split on one line, with the interval where there is one."""
    parts = []
    for name, value in figures["scores"].items():
        interval = figures["intervals"].get(name)
        around = f" [{interval['low']:.4f}, {interval['high']:.4f}]" if interval else ""
        parts.append(f"{name} {value:.4f}{around}")
    return ", ".join(parts)


def recorded_task(
    run: RunFolder, *, noun: str, example: str, verb: str = "predict", folders: tuple[str, ...] = ("model",)
) -> TaskResult | None:
    """The result of a run that is finished and has all its files; None for any other.

    Raises:
        FormatError: if run.json or evaluation.json is damaged.
    """
    known = run.read()
    files = [*_FILES, *(f"{folder}/{name}" for folder in folders for name in (*_MODEL_FILES, weights_file(folder)))]
    if known.get("status") != "finished" or not all((run.path / name).is_file() for name in files):
        return None
    return TaskResult(
        run=run.path, status="finished", stopped_by=None, seconds=known["seconds"],
        parameters=known["model"]["parameters"], trained=known["model"].get("trained_parameters"),
        n_examples=known["data"]["examples"]["train"], evaluation=read_json(run.path / "evaluation.json"), noun=noun, example=example, verb=verb,
    )  # fmt: skip
