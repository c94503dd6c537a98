"""`hanmo.pipeline("question-answering", …)`: the answer to a question, out of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.settings import check_settings
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.qa_settings import AnswerSettings
from hanmo.tasks.question_answerer import Found, QuestionAnswerer

__all__ = ["QuestionAnsweringPipeline"]

_REMEDY = 'Give question="…" and context="…", or {"question": "…", "context": "…"}.'


class QuestionAnsweringPipeline(Pipeline):
    """See above. An answer is `{"score": …, "start": …, "end": …, "answer": …}`, with `top_k` above 1 a list of them, the
    most probable first; an empty one says that the text has no answer."""

    def __init__(self, answerer: QuestionAnswerer):
        self.answerer = answerer

    def __call__(self, inputs: Any = None, *, question: Any = None, context: Any = None, **options: Any) -> Any:
        """Answer.

        Args:
            inputs: `{"question": …, "context": …}`, a list of them, or any other iterable, which is read as the answers
                are asked for.
            question: in place of `inputs`: a question, or a list of them.
            context: the text that they are about, or a list of as many.
            options: of `answers`.

        Returns:
            The answer to one question, a list of answers, or an iterator.

        Raises:
            DataError: for an input that cannot be one.
        """
        if (inputs is None) == (question is None and context is None):
            raise DataError("neither inputs nor a question, or both", where="inputs", remedy=_REMEDY)
        if inputs is not None:
            if isinstance(inputs, str):
                raise DataError("a question without its text", where="inputs", remedy=_REMEDY)
            return super().__call__(inputs, **options)
        if isinstance(question, list):
            contexts = context if isinstance(context, list) else [context] * len(question)
            if len(contexts) != len(question):
                raise DataError(f"{len(question)} questions, but {len(contexts)} texts", where="context")
            pairs = [{"question": one, "context": other} for one, other in zip(question, contexts, strict=True)]
            return super().__call__(pairs, **options)
        return super().__call__({"question": question, "context": context}, **options)

    def read(self, item: Any) -> tuple[str, str]:
        """{"question": …, "context": …}."""
        if not isinstance(item, Mapping):
            raise DataError(f"{str(item)[:60]!r} is no question with its text", where="inputs", remedy=_REMEDY)
        found = []
        for key in ("question", "context"):
            text = item.get(key)
            if not isinstance(text, str) or not text.strip():
                problem = f'there is no text under "{key}"' if not isinstance(text, str) else f"an empty {key}"
                raise DataError(problem, where="inputs", remedy=_REMEDY)
            found.append(text)
        return found[0], found[1]

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        items: list[tuple[str, str]],
        *,
        top_k: int = 1,
        max_answer_len: int | None = None,
        handle_impossible_answer: bool | None = None,
        max_seq_len: int | None = None,
        doc_stride: int | None = None,
        align_to_words: bool = True,
    ) -> list[Any]:
        """Answers to each question.

        Args:
            items: questions with their texts.
            top_k: how many answers, at most.
            max_answer_len: longest answer, in tokens; what the model was trained for if None.
            handle_impossible_answer: whether "there is none" may be the answer; if None, as the model was trained.
            max_seq_len: most tokens of a window; as the model was trained if None.
            doc_stride: tokens of the text that windows share; as the model was trained if None.
            align_to_words: whether answers are widened to whole words; else they begin and end with a token.

        Raises:
            ConfigError: for a number that makes no sense.
        """
        given = {"max_answer_len": max_answer_len, "window": max_seq_len, "overlap": doc_stride}
        own = self.answerer.settings
        settings = check_settings(AnswerSettings, own.model_dump() | {k: v for k, v in given.items() if v is not None})
        if top_k < 1:
            raise ConfigError(f"top_k = {top_k} asks for no answer", where="top_k")
        may_be_none = self.answerer.knows_no_answer if handle_impossible_answer is None else handle_impossible_answer
        no_answer = (own.no_answer or 0.0) if may_be_none else None
        found = self.answerer.find(items, top_k=top_k, settings=settings, align_to_words=align_to_words)
        return [_told(one, top_k, no_answer) for one in found]


def _told(found: Found, top_k: int, no_answer: float | None) -> Any:
    told = [
        {"score": answer.score, "start": answer.start, "end": answer.end, "answer": answer.text}
        for answer in found.answers
    ]
    none = {"score": found.none, "start": 0, "end": 0, "answer": ""}
    if not told:
        told = [none]
    elif no_answer is not None and top_k == 1:
        told = [none] if found.best(no_answer) == "" else told
    elif no_answer is not None:
        place = 0 if found.best(no_answer) == "" else 1 + sum(one["score"] > found.none for one in told[1:])
        told = [*told[:place], none, *told[place:]][:top_k]
    return told[0] if top_k == 1 else told
