"""A model that points at the answer to a question in a text, with its tokenizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from hanmo.batches.by_length import batches_by_length, pad_rows
from hanmo.core.errors import ConfigError, FormatError, ModelError
from hanmo.core.settings import check_settings
from hanmo.metrics.units import has_han
from hanmo.nn.evaluating import evaluating
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.qa_learning import fills_of_questions, segments_of, windows_of
from hanmo.tasks.qa_settings import AnswerSettings
from hanmo.tokenizers.context_rows import ContextRow
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Answer", "Found", "QuestionAnswerer", "span_architecture"]

_KEY = "hanmo_answers"
_MAX_TOKENS = 4096
_ROWS_AT_ONCE = 512


def span_architecture(names: Sequence[str]) -> str:
    """The class of a family that points at spans.

    Raises:
        ConfigError: if it has none.
    """
    for name in names:
        if name.endswith(("ForQuestionAnswering", "ForQuestionAnsweringSimple")):
            return name
    raise ConfigError(
        "this family has no head for answers in a text", where="model", remedy="Take an encoder such as BERT."
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A stretch of the text."""

    text: str
    start: int
    """Its first character."""
    end: int
    """The character after its last."""
    score: float
    """Its probability, 0..1."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is to say to one question."""

    answers: tuple[Answer, ...]
    """The most probable first; none where a text has no word."""
    none: float
    """Probability that the text has no answer."""

    @property
    def doubt(self) -> float:
        """Log-odds of "no answer" against the best one."""
        best = self.answers[0].score if self.answers else 0.0
        return math.log(max(self.none, 1e-30)) - math.log(max(best, 1e-30))

    def best(self, no_answer: float | None) -> str:
        """The answer; "" for none, where `doubt` is above `no_answer`."""
        if not self.answers or (no_answer is not None and self.doubt > no_answer):
            return ""
        return self.answers[0].text


class QuestionAnswerer(LoadedModel):
    """Questions on texts to answers."""

    tokenizer: Tokenizer

    def __init__(
        self, model: Any, tokenizer: Tokenizer, *, where: object = None, settings: AnswerSettings | None = None
    ):
        """Args: as there, and

        settings: of windows and answers; what the tokenizer's config says if None, or else what is usual.

        Raises:
            ModelError: if the model has no head for answers.
            FormatError: if the tokenizer's config says something impossible.
        """
        super().__init__(model, tokenizer, where=where)
        if "ForQuestionAnswering" not in model.architecture:
            raise ModelError(
                f"a {model.architecture} does not point at answers", where=where,
                remedy='Train one on questions first: a recipe with task = "question-answering".',
            )  # fmt: skip
        if settings is not None:
            self.settings = settings

    @property
    def settings(self) -> AnswerSettings:
        """Of windows and answers; saved with the model."""
        values = self.tokenizer.config.get(_KEY)
        if values is None:  # a model of others: what transformers does
            return AnswerSettings(max_answer_len=15)
        try:
            return check_settings(AnswerSettings, values)
        except ConfigError as error:
            raise FormatError(f"{_KEY}: {error.what}", where="tokenizer_config.json") from error

    @settings.setter
    def settings(self, settings: AnswerSettings) -> None:
        self.tokenizer.config[_KEY] = settings.model_dump(mode="json")

    @property
    def knows_no_answer(self) -> bool:
        """Whether it was taught that a text may have no answer."""
        return self.settings.no_answer is not None

    def find(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        top_k: int = 1,
        settings: AnswerSettings | None = None,
        align_to_words: bool = True,
        max_tokens: int = _MAX_TOKENS,
    ) -> list[Found]:
        """Point at answers.

        A text longer than a window is read in windows that overlap: none of it is left out. In each window the
        probability of an answer is that of its start times that of its end, over the text and the [CLS] token, which
        stands for "not here"; answers are widened to whole words (Chinese has none to widen to), and those that come to the same text are taken
        together, as `transformers` does. Over windows the highest counts, and for "no answer" the lowest.

        Args:
            pairs: question and text.
            top_k: how many answers, at most.
            settings: of windows and answers; the model's own if None.
            align_to_words: whether answers are widened; else they begin and end with a token.
            max_tokens: most positions of a batch, padding included.

        Raises:
            ConfigError: for a `top_k` below 1.
            DataError: for a question that is too long.
        """
        if top_k < 1:
            raise ConfigError(f"top_k = {top_k} asks for no answer", where="top_k")
        settings = self.settings if settings is None else settings
        windows = windows_of(pairs, self.tokenizer, self.config, settings)
        rows = ((number, row) for number, found in enumerate(windows) for row in found)
        answers: list[dict[str, Answer]] = [{} for _ in pairs]
        none = [1.0] * len(pairs)
        with evaluating(self.model):
            while some := list(islice(rows, _ROWS_AT_ONCE)):
                for (number, row), (start, end) in zip(
                    some, self._forward([row for _, row in some], max_tokens), strict=True
                ):
                    none[number] = min(none[number], float(start[-1] * end[-1]))
                    widest = settings.max_answer_len
                    for answer in _answers(row, pairs[number][1], start, end, top_k, widest, align=align_to_words):
                        known = answers[number].get(answer.text.lower())
                        if known is None or answer.score > known.score:
                            answers[number][answer.text.lower()] = answer
        return [
            Found(tuple(sorted(found.values(), key=lambda answer: -answer.score)[:top_k]), absent)
            for found, absent in zip(answers, none, strict=True)
        ]

    @torch.inference_mode()
    def _forward(self, rows: Sequence[ContextRow], max_tokens: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each row the probabilities of starts and of ends, (N + 1,) each: of the text's tokens and, last, of none."""
        device = next(self.model.parameters()).device
        fills = fills_of_questions(self.fill_id)
        found: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(rows)
        for batch in batches_by_length([len(row.ids) for row in rows], max_tokens=max_tokens):
            chosen = [rows[place] for place in batch]
            inputs = {"input_ids": pad_rows([row.ids for row in chosen], fills["input_ids"])}
            lengths = torch.tensor([len(row.ids) for row in chosen])
            inputs["attention_mask"] = (torch.arange(inputs["input_ids"].shape[1]) < lengths[:, None]).long()
            segments = [kinds for row in chosen if (kinds := segments_of(row, self.config)) is not None]
            if segments:
                inputs["token_type_ids"] = pad_rows(segments, fills["token_type_ids"])
            out = self.model(**{name: tensor.to(device) for name, tensor in inputs.items()})
            starts, ends = (logits.float().cpu() for logits in (out.start_logits, out.end_logits))
            for place, row, start, end in zip(batch, chosen, starts, ends, strict=True):
                where = torch.tensor([*range(row.first, row.first + len(row.spans)), row.none])
                found[place] = (start[where].softmax(-1).numpy(), end[where].softmax(-1).numpy())
        return [one for one in found if one is not None]


def _answers(
    row: ContextRow, context: str, start: np.ndarray, end: np.ndarray, top_k: int, max_answer_len: int, *, align: bool
) -> list[Answer]:
    """The best answers of one window, those of the same text together."""
    n = len(row.spans)
    length = min(max_answer_len, n)
    padded = np.concatenate([end[:n], np.zeros(length, dtype=end.dtype)])
    # (first token, how many more): an answer that would go past the window has probability 0
    scores = start[:n, None] * np.lib.stride_tricks.sliding_window_view(padded, length)[:n] if n else np.zeros((0, 1))
    flat = scores.ravel()
    wanted = min(2 * top_k + 10, len(flat))  # some will come to the same text
    best = np.argpartition(-flat, wanted - 1)[:wanted] if wanted else np.zeros(0, dtype=np.int64)
    found: dict[str, Answer] = {}
    for place in best[np.argsort(-flat[best], kind="stable")].tolist():
        first, more = divmod(place, length)
        if flat[place] <= 0:
            continue
        (a, _), (_, b) = (_place(row, context, token, align) for token in (first, first + more))
        text = context[a:b].strip()
        if not text:
            continue
        known = found.get(text.lower())
        if known is not None:
            found[text.lower()] = replace(known, score=known.score + float(flat[place]))
            continue
        a += len(context[a:b]) - len(context[a:b].lstrip())
        found[text.lower()] = Answer(text, a, a + len(text), float(flat[place]))
    return list(found.values())


def _place(row: ContextRow, context: str, token: int, align: bool) -> tuple[int, int]:
    """The word around a token; the token alone in Chinese, where what stands between signs is no word."""
    a, b = row.words[token].tolist()
    return (a, b) if align and not has_han(context[a:b]) else tuple(row.spans[token].tolist())
