"""A model that answers questions out of a text, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hanmo.stories.qa_recipe import AnsweringRecipe
from hanmo.stories.task_model import build_encoder, with_segments
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.qa_examples import QaExample
    from hanmo.tasks.qa_figures import Rules
    from hanmo.tasks.question_answerer import Found, QuestionAnswerer
    from hanmo.tasks.splits import Splits

__all__ = ["AnsweringWork"]


class AnsweringWork(TaskWork[AnsweringRecipe, "QuestionAnswerer"]):
    """See above."""

    noun = "questions"
    example = "question-answering {model} 'a question' --context 'a text, or a file with it'"

    def read(self) -> Splits[QaExample]:
        from hanmo.tasks.qa_examples import read_questions

        return read_questions(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[QaExample]) -> QuestionAnswerer:
        from hanmo.tasks.qa_learning import MATCHES
        from hanmo.tasks.question_answerer import QuestionAnswerer, span_architecture

        section = self.recipe.model
        texts = [*dict.fromkeys(example.context for example in splits.train), *(one.question for one in splits.train)]
        matches = section.tells_matches
        model, tokenizer = build_encoder(
            section, texts, choose=span_architecture, head={}, seed=self.recipe.seed,
            shape={"n_segments": MATCHES} if matches else {},
        )  # fmt: skip
        if matches and section.checkpoint is not None:
            model = with_segments(model, (0, 1, 1), where="[model] match_features")
        return QuestionAnswerer(model, tokenizer, settings=self.recipe.answers)

    def learn(self, model: QuestionAnswerer, splits: Splits[QaExample]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.core.errors import DataError
        from hanmo.tasks.qa_figures import glance_at_answers
        from hanmo.tasks.qa_learning import encode_questions, fills_of_questions, pointing_loss, windows_of

        recipe = self.recipe
        rows, notes = encode_questions(splits.train, model.tokenizer, model.config, recipe.answers, seed=recipe.seed)
        if not rows:
            raise DataError("no answer fits into a window", where="[answers] window", remedy="Allow longer windows.")
        later = [*splits.dev, *splits.test]  # a question that is too long is told before training
        for _ in windows_of(
            [(one.question, one.context[:1]) for one in later], model.tokenizer, model.config, recipe.answers,
            names=[one.where for one in later],
        ):  # fmt: skip
            pass
        fills = fills_of_questions(model.fill_id)
        rules = self._rules(splits.dev)
        return Learning(
            batches=PaddedRows(rows, fills=fills, batch_size=recipe.batch_size, seed=recipe.seed),
            loss=pointing_loss,
            notes=notes,
            watch=lambda: glance_at_answers(
                _find(model, splits.dev), splits.dev, rules, may_be_none=len(splits.labels) > 1
            ),
        )

    def opened(self, model: Any, where: object) -> QuestionAnswerer:
        from hanmo.tasks.opened import as_answerer

        return as_answerer(model, where)

    def read_test(self, model: QuestionAnswerer, notes: Counter[str]) -> list[QaExample]:
        from hanmo.tasks.qa_examples import read_test_questions

        return read_test_questions(self.recipe.data, notes)

    def watched(self, splits: Splits[QaExample]) -> tuple[str, ...]:
        return ("error", "f1") if len(splits.labels) > 1 else ("error", "f1", "exact")

    def classes(self, example: QaExample) -> Iterable[str]:
        from hanmo.tasks.qa_examples import ANSWER, NO_ANSWER

        return (ANSWER if example.answers else NO_ANSWER,)

    def choose(self, model: QuestionAnswerer, splits: Splits[QaExample]) -> None:
        from hanmo.tasks.qa_figures import best_threshold

        if len(splits.labels) > 1 and self.recipe.answers.no_answer is None:
            threshold, _ = best_threshold(_find(model, splits.dev), splits.dev, self._rules(splits.dev))
            model.settings = model.settings.model_copy(update={"no_answer": threshold})

    def judge(self, model: QuestionAnswerer, splits: Splits[QaExample], name: str) -> Judged:
        from hanmo.tasks.qa_figures import qa_figures, qa_records

        examples: list[QaExample] = getattr(splits, name)
        rules = self._rules(examples)
        found = _find(model, examples)
        told = [one.best(model.settings.no_answer) for one in found]
        return Judged(
            figures=qa_figures(told, examples, rules, seed=self.recipe.seed),
            records=qa_records(found, told, examples, rules),
        )

    def _rules(self, examples: Sequence[QaExample]) -> Rules:
        from hanmo.tasks.qa_figures import rules_of

        rules = self.recipe.data.rules
        return rules_of(examples) if rules == "auto" else rules


def _find(model: QuestionAnswerer, examples: Sequence[QaExample]) -> list[Found]:
    return model.find([(example.question, example.context) for example in examples])
