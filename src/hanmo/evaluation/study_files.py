"""Reads back what the folder of a study says: the source of its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hanmo.core.errors import FormatError
from hanmo.core.files import read_json
from hanmo.evaluation.run_files import RunRecord, read_record
from hanmo.evaluation.task_files import IntervalRecord, SplitFigures

__all__ = ["Group", "Several", "SoupRecord", "StudyRecord", "read_study"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Several(_Record):
    """One figure of the runs of a group."""

    mean: float
    sd: float | None = None
    values: list[float] = []
    intervals: list[IntervalRecord | None] = []

    @property
    def around(self) -> tuple[float, float] | None:
        """The mean give or take a deviation; of a single run its 95 % interval; None if neither is known."""
        if self.sd is not None:
            return self.mean - self.sd, self.mean + self.sd
        interval = self.intervals[0] if self.intervals else None
        return None if interval is None else (interval.low, interval.high)

    @property
    def standard_error(self) -> float | None:
        """Of the mean; of a single run that of its interval."""
        if self.sd is not None:
            return self.sd / len(self.values) ** 0.5
        around = self.around
        return None if around is None else (around[1] - around[0]) / 3.92


class Group(_Record):
    """Runs that differ in seed or fold alone."""

    choice: dict[str, Any] = {}
    runs: list[str] = []
    n_examples: int | None = None
    seconds: float = 0.0
    figures: dict[str, dict[str, Several]] = {}
    failed: str | None = None


class SoupRecord(_Record):
    """The mean of the weights of several runs."""

    runs: list[str]
    figures: dict[str, SplitFigures] = {}


class _Evaluation(_Record):
    by: str
    lower_is_better: bool = False
    chosen: int | None = None
    groups: list[Group]
    soup: SoupRecord | None = None


class StudyRecord(_Record):
    """A study as far as it was recorded."""

    run: RunRecord
    section: dict[str, Any] = {}
    """What was asked, `[study]` of the recipe."""
    by: str | None = None
    lower_is_better: bool = False
    chosen: int | None = None
    groups: list[Group] = []
    soup: SoupRecord | None = None


def read_study(path: str | Path) -> StudyRecord:
    """Read the folder of a study; what was not recorded is empty.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: for damaged JSON or a value of the wrong type, with file and key.
    """
    path = Path(path)
    record, file = read_record(path), path / "evaluation.json"
    section = (read_json(path / "run.json").get("recipe") or {}).get("study") or {}
    if not file.is_file():
        return StudyRecord(run=record, section=section)
    try:
        found = _Evaluation.model_validate(read_json(file))
    except ValidationError as error:
        problem = error.errors()[0]
        raise FormatError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}", where=file) from error
    return StudyRecord(
        run=record, section=section, by=found.by, lower_is_better=found.lower_is_better, chosen=found.chosen,
        groups=found.groups, soup=found.soup,
    )  # fmt: skip
