"""A grader of short answers, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hanmo.stories.grading_recipe import GradingRecipe
from hanmo.stories.task_model import build_encoder
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.grader import Grader
    from hanmo.tasks.grading_examples import Scale
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text_examples import TextExample

__all__ = ["GradingWork"]


class GradingWork(TaskWork[GradingRecipe, "Grader"]):
    """See above."""

    noun = "answers"

    def __init__(self, recipe: GradingRecipe):
        super().__init__(recipe)
        self._scale: Scale | None = None

    @property
    def example(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        question = "" if self.recipe.data.question is None else " --question 'the question'"
        return f"grading {{model}} 'an answer' --pair 'the reference'{question}"

    def read(self) -> Splits[TextExample]:
        from hanmo.tasks.grading_examples import read_graded

        splits, self._scale = read_graded(self.recipe.data, seed=self.recipe.seed)
        return splits

    def build(self, splits: Splits[TextExample]) -> Grader:
        from hanmo.tasks.grader import Grader
        from hanmo.tasks.text_classification import PROBLEM_TYPES
        from hanmo.tasks.text_classifier import sequence_architecture

        texts = (text for example in splits.train for text in (example.text, example.pair) if text is not None)
        model, tokenizer = build_encoder(
            self.recipe.model, texts, choose=sequence_architecture,
            head={"labels": splits.labels, "problem_type": PROBLEM_TYPES["regression"]}, seed=self.recipe.seed,
        )  # fmt: skip
        return Grader(model, tokenizer, scale=self._scale, asks=self.recipe.data.question is not None)

    def learn(self, model: Grader, splits: Splits[TextExample]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.forward import OVERLAP
        from hanmo.tasks.grading_figures import glance_at_grades
        from hanmo.tasks.text_classification import check_lengths, classification_loss, encode_examples, fills_of
        from hanmo.tasks.text_loss import LossSettings

        scale, tokenizer = model.scale, model.tokenizer
        # grades of any scale are learned as numbers between 0 and 1
        shares = [
            replace(example, label=(example.label - scale.lowest) / (scale.highest - scale.lowest))
            for example in splits.train
        ]
        max_len = getattr(model.config, "max_len", None)
        notes: Counter[str] = Counter()
        rows = encode_examples(
            shares, tokenizer, splits.labels, "regression", max_len=max_len, overlap=OVERLAP, notes=notes
        )
        check_lengths([*splits.dev, *splits.test], tokenizer, max_len=max_len, overlap=OVERLAP, notes=notes)
        pairs = _pairs(splits.dev)
        return Learning(
            batches=PaddedRows(
                rows, fills=fills_of("regression", model.fill_id), batch_size=self.recipe.batch_size,
                seed=self.recipe.seed,
            ),
            loss=classification_loss("regression", LossSettings()),
            watch=lambda: glance_at_grades(model.grade(pairs, clip=False), splits.dev, scale),
            notes=+notes,
        )  # fmt: skip

    def opened(self, model: Any, where: object) -> Grader:
        from hanmo.tasks.opened import as_grader

        return as_grader(model, where)

    def read_test(self, model: Grader, notes: Counter[str]) -> list[TextExample]:
        from hanmo.tasks.grading_examples import read_test_grades

        return read_test_grades(self.recipe.data, model.scale, notes)

    def watched(self, splits: Splits[TextExample]) -> tuple[str, ...]:
        return ("loss", "error", "quadratic_kappa")

    def classes(self, example: TextExample) -> Iterable[str]:
        return ()

    def judge(self, model: Grader, splits: Splits[TextExample], name: str) -> Judged:
        from hanmo.tasks.grading_figures import grading_figures, grading_records

        examples: list[TextExample] = getattr(splits, name)
        grades = model.grade(_pairs(examples))
        return Judged(
            figures=grading_figures(grades, examples, model.scale),
            records=grading_records(grades, examples, model.scale),
        )


def _pairs(examples: Iterable[TextExample]) -> list[tuple[str, str]]:
    return [(example.text, example.pair or "") for example in examples]
