"""Graded answers to questions: read, named by their place, and checked whole before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.errors import DataError
from hanmo.tasks.splits import SplitData, Splits, check_spread, folded, note_contradictions, settle
from hanmo.tasks.tables import Column, problems_error, read_number, read_table, usable
from hanmo.tasks.text_examples import TextExample

__all__ = ["GradingData", "Scale", "beside", "read_graded", "read_test_grades"]


_MOST_STEPS = 1000
"""From the lowest grade to the highest."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The grades that there are."""

    lowest: float
    """The lowest grade."""
    highest: float
    """The highest grade."""
    step: float
    """From a grade to the next."""

    @property
    def n_steps(self) -> int:
        """Steps from the lowest grade to the highest."""
        return round((self.highest - self.lowest) / self.step)

    def steps(self, score: float) -> int:
        """The nearest grade, in steps from the lowest; those beyond an end are that end."""
        return min(max(round((score - self.lowest) / self.step), 0), self.n_steps)


class GradingData(SplitData):
    """Where the examples are, and which column means what."""

    answer: Column = "answer"
    """Column of what is to be graded."""
    reference: Column = "reference"
    """Column of an answer that is right, or of the rubric."""
    question: Column | None = None
    """Column of the question, if the model is to read it too."""
    score: Column = "score"
    """Column of the grade."""
    lowest: float | None = None
    """Lowest grade; that of the training examples if None."""
    highest: float | None = None
    """Highest grade; that of the training examples if None."""
    step: float = Field(default=1.0, gt=0)
    """From a grade to the next; predictions are rounded to it for the kappa."""
    empty: Literal["error", "drop", "keep"] = "error"
    """What to do with empty answers: refuse them, leave them out, or learn what they are worth."""

    @model_validator(mode="after")
    def _ends_are_in_order(self) -> GradingData:
        if self.lowest is not None and self.highest is not None and self.lowest >= self.highest:
            raise ValueError(f"lowest = {self.lowest:g} is not below highest = {self.highest:g}")
        return self


def beside(reference: str, question: str | None) -> str:
    """What an answer is read beside."""
    return reference if question is None else f"{question}\n{reference}"


def read_graded(data: GradingData, *, seed: int) -> tuple[Splits[TextExample], Scale]:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.

    Returns:
        Answers as `text`, what they are read beside as `pair`, grades as `label`; and the scale of the grades.

    Raises:
        DataError: for empty texts, grades that are no numbers or not on the scale, a split whose grades are all the
            same, or training answers that are in `dev` or `test` with the same reference; each with file and line, the
            first ten. Nothing is left out unless `data` says so, and then it is counted.
        FormatError: for a file that cannot be read.
    """
    notes: Counter[str] = Counter()
    train = _read(data, data.train, notes)
    dev = _read(data, data.dev, notes) if data.dev is not None else []
    test = _read(data, data.test, notes) if data.test is not None else []
    train, dev, test = settle(data, train, dev, test, key=_key, seed=seed, notes=notes)
    check_spread(data, (train, dev, test), lambda one: one.label, "grade")
    note_contradictions(train, _key, lambda one: one.label, notes)
    grades = [example.label for example in train]
    scale = Scale(
        min(grades) if data.lowest is None else data.lowest,
        max(grades) if data.highest is None else data.highest,
        data.step,
    )
    _check_steps(scale, data.train)
    _check_scale([*train, *dev, *test], scale)
    return Splits.of(train, dev, test, labels=("score",), notes=notes), scale


def read_test_grades(data: GradingData, scale: Scale, notes: Counter[str]) -> list[TextExample]:
    """Read `test` alone, for a model that is already trained.

    Args:
        data: where it is, and which column means what.
        scale: the grades that the model gives.
        notes: what was left out is counted here.

    Raises:
        DataError: as `read_graded`, and for grades that are not on this scale.
        FormatError: for a file that cannot be read.
    """
    assert data.test is not None
    examples = _read(data, data.test, notes)
    check_spread(data, ((), (), examples), lambda one: one.label, "grade")
    _check_scale(examples, scale)
    return examples


def _read(data: GradingData, path: str, notes: Counter[str]) -> list[TextExample]:
    columns = {"answer": data.answer, "reference": data.reference, "score": data.score}
    if data.question is not None:
        columns["question"] = data.question
    examples, problems = [], []
    for row in read_table(path, columns):
        texts = {name: value for name, value in row.values.items() if name != "score"}
        wrong = [f"the {name} is a {type(text).__name__}" for name, text in texts.items() if not isinstance(text, str)]
        empty = [] if wrong else [name for name, text in texts.items() if not text.strip()]
        if wrong:
            problems.append(f"{row.where}: {wrong[0]}")
        elif empty and (empty != ["answer"] or data.empty == "error"):
            problems.append(f"{row.where}: an empty {empty[-1]}")
        elif empty and data.empty == "drop":
            notes["empty answers left out"] += 1
        else:
            try:
                pair = beside(texts["reference"], texts.get("question"))
                examples.append(
                    TextExample(texts["answer"], pair, read_number(row.values["score"], "grade"), row.where)
                )
            except ValueError as error:
                problems.append(f"{row.where}: {error}")
    return usable(
        examples, problems, where=path,
        remedy='Mend these lines, or check the columns; [data] empty = "drop" leaves empty answers out, "keep" learns them.',
    )  # fmt: skip


def _check_steps(scale: Scale, where: str) -> None:
    """Grades must be so few that a table of their pairs, which the kappa needs, can be made."""
    if not scale.highest - scale.lowest <= _MOST_STEPS * scale.step:
        raise DataError(
            f"from {scale.lowest:g} to {scale.highest:g} there are more than {_MOST_STEPS:,} steps of {scale.step:g}", where=where,
            remedy="Set [data] lowest, highest and step to the grades that there are; predicted grades are rounded to them.",
        )  # fmt: skip


def _check_scale(examples: list[TextExample], scale: Scale) -> None:
    problems = []
    for example in examples:
        if not scale.lowest <= example.label <= scale.highest:
            problems.append(f"{example.where}: {example.label:g} is outside {scale.lowest:g}..{scale.highest:g}")
        elif abs(scale.lowest + scale.steps(example.label) * scale.step - example.label) > 1e-6 * scale.step:
            problems.append(f"{example.where}: {example.label:g} lies between the steps of {scale.step:g}")
    if problems:
        raise problems_error(
            f"{len(problems)} grades are not on the scale", problems,
            "Set [data] lowest, highest and step; where the ends are not given they are those of the training examples.",
        )  # fmt: skip


def _key(example: TextExample) -> tuple[str, ...]:
    return (folded(example.text), folded(example.pair or ""))
