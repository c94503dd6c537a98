"""A model that grades answers, with its tokenizer; and `hanmo.pipeline("grading", …)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hanmo.core.errors import DataError, ModelError
from hanmo.tasks.grading_examples import Scale, beside
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.text_classifier import TextClassifier
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Grader", "GradingPipeline"]

_KEY = "hanmo_grades"


class Grader(TextClassifier):
    """Pairs of an answer and what it is read beside, to grades. It learns them as shares of the way from the lowest to the
    highest; tokenizer_config.json holds the scale, under a name that other libraries pass over."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        where: object = None,
        scale: Scale | None = None,
        asks: bool | None = None,
    ):
        """Args: as there, and

        scale: the grades that there are; what the tokenizer's config says if None.
        asks: whether questions are read too; what the tokenizer's config says if None.

        Raises:
            ModelError: if the model was not trained to grade.
        """
        super().__init__(model, tokenizer, where=where)
        if scale is not None:
            tokenizer.config[_KEY] = asdict(scale) | {"question": bool(asks)}
        known: Any = tokenizer.config.get(_KEY)
        try:
            self.scale = Scale(*(float(known[name]) for name in ("lowest", "highest", "step")))
            self.asks = bool(known["question"])
        except (TypeError, KeyError, ValueError) as error:
            raise ModelError(
                "this model was not trained to grade answers", where=where,
                remedy='Train one on graded answers first: a recipe with task = "grading".',
            ) from error  # fmt: skip

    def grade(self, pairs: Sequence[tuple[str, str]], *, clip: bool = True) -> np.ndarray:
        """Grades of answers, (N,) float64.

        Args:
            pairs: the answer, and what `beside` makes of reference and question.
            clip: bring what lies beyond an end of the scale to that end.
        """
        shares = self.scores(pairs)[:, 0].astype(np.float64)
        if clip:
            shares = shares.clip(0.0, 1.0)
        return self.scale.lowest + shares * (self.scale.highest - self.scale.lowest)


class GradingPipeline(Pipeline):
    """Answers to grades: of {"answer": …, "reference": …}, with "question" for a model that was trained with questions, the
    answer is {"score": …}. "text" and "text_pair" say the same as "answer" and "reference". In a file its answers are called "grade"."""

    answer_key = "grade"
    reads_pairs = True

    def __init__(self, grader: Grader):
        self.grader = grader

    def read(self, item: Any) -> tuple[str, str]:
        """See above."""
        given = item if isinstance(item, Mapping) else {}
        answer, reference = given.get("answer", given.get("text")), given.get("reference", given.get("text_pair"))
        question = given.get("question")
        if not isinstance(answer, str) or not isinstance(reference, str):
            raise DataError(
                f"{str(item)[:60]!r} has no answer and reference", where="inputs",
                remedy='Give {"answer": …, "reference": …}.',
            )  # fmt: skip
        if isinstance(question, str) != self.grader.asks:
            raise DataError(
                "this model reads the question too, and there is none"
                if self.grader.asks
                else "this model was trained without questions, and one is given",
                where="question",
                remedy='Give the same as in training: "question" or none.',
            )
        return answer, beside(reference, question)

    def answers(self, items: list[tuple[str, str]]) -> list[dict[str, float]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The grade of each."""
        return [{"score": float(score)} for score in self.grader.grade(items)]
