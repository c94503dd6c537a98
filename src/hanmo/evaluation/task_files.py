"""Reads back what a classifier's run folder says: the source of its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from hanmo.core.errors import FormatError
from hanmo.core.files import read_json
from hanmo.evaluation.run_files import RunRecord, read_record

__all__ = [
    "ClassFigures",
    "DataRecord",
    "IntervalRecord",
    "PairedRecord",
    "Prediction",
    "SplitFigures",
    "TaskRecord",
    "read_task_run",
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class ClassFigures(_Record):
    """One class."""

    precision: float
    recall: float
    f1: float
    support: int


class IntervalRecord(_Record):
    """Ends of a 95 % interval."""

    low: float
    high: float


class PairedRecord(_Record):
    """A paired test of the first figure against that of no model."""

    difference: float
    p_value: float
    low: float
    high: float


class SplitFigures(_Record):
    """Figures of the dev or the test set."""

    n: int
    scores: dict[str, float]
    intervals: dict[str, IntervalRecord] = {}
    per_class: dict[str, ClassFigures] = {}
    against_baseline: PairedRecord | None = None
    confusion: list[list[int]] = []
    """Rows are right, columns predicted."""
    signatures: dict[str, str] = {}
    """All that a score depends on, as the library writes it that computed it."""
    tasks: dict[str, SplitFigures] = {}
    """Where several tasks were learned together: each by itself."""


class Prediction(_Record):
    """One line of predictions.jsonl."""

    split: str
    task: str | None = None
    """Which one, where several were learned together."""
    where: str
    right: bool
    text: str
    pair: str | None = None
    label: str | float | list[str]
    predicted: str | float | list[str]
    probability: float | None = None
    score: float | None = None
    """How good a written text is; higher is better."""
    length: int | None = None
    """Characters of what was read, where that is more than `text` and `pair`."""


class DataRecord(_Record):
    """What was learned from."""

    examples: dict[str, int] = {}
    labels: list[str] = []
    notes: dict[str, int] = {}


class TaskRecord(_Record):
    """A run folder as far as it was recorded."""

    run: RunRecord
    data: DataRecord = DataRecord()
    task: str = "text-classification"
    """Name of the task, as in the recipe."""
    kind: str = "single"
    evaluation: dict[str, SplitFigures] = {}
    predictions: list[Prediction] = []


def _check(kind: Any, value: Any, where: object) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise FormatError(f"{key + ': ' if key else ''}{problem['msg']}", where=where) from error


def read_task_run(path: str | Path) -> TaskRecord:
    """Read a run folder; pieces that were not recorded are empty.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: for damaged JSON or a value of the wrong type, with file and key.
    """
    path = Path(path)
    record, run = read_record(path), read_json(path / "run.json")
    evaluation = path / "evaluation.json"
    return TaskRecord(
        run=record,
        data=_check(DataRecord, run.get("data") or {}, path / "run.json"),
        task=(run.get("recipe") or {}).get("task", "text-classification"),
        kind=((run.get("recipe") or {}).get("data") or {}).get("kind", "single"),
        evaluation=_check(dict[str, SplitFigures], read_json(evaluation), evaluation) if evaluation.is_file() else {},
        predictions=_read_predictions(path / "predictions.jsonl"),
    )


def _read_predictions(file: Path) -> list[Prediction]:
    if not file.is_file():
        return []
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                values = json.loads(line)
            except ValueError as error:
                raise FormatError("not a line of JSON", where=f"{file}:{number}") from error
            found.append(_check(Prediction, values, f"{file}:{number}"))
    return found
