"""How well a model answers: how likely it finds what people answered, and how varied and long its own answers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.metrics.diversity import distinct_n
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.units import units_of
from hanmo.tasks.answer_scores import score_answers
from hanmo.tasks.dialogue_learning import EncodedDialogue
from hanmo.tasks.figures import Figures, by_name
from hanmo.tasks.win_rate import wins

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hanmo.tasks.language_model import LanguageModel

__all__ = [
    "AnsweringSettings",
    "answers_to_last",
    "dialogue_figures",
    "dialogue_records",
    "glance_at_answers",
    "logprobs_per_byte",
]


class AnsweringSettings(Settings):
    """What is asked of the trained model for its figures and the report."""

    n_answers: int = Field(default=100, ge=0)
    """Conversations of each split whose last answer it writes itself, from the first on."""
    max_new_tokens: int = Field(default=60, ge=1)
    """Longest answer, in tokens."""
    temperature: float = Field(default=0.8, ge=0, le=100)
    """0 is greedy; below 1 safer, above 1 wilder."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Keep the most likely tokens that hold this probability (nucleus)."""
    repetition_penalty: float = Field(default=1.1, gt=0, le=100)
    """Above 1 discourages tokens already in the text."""
    against: str | None = None
    """Another chat model (directory or name): `win_rate` is the share of conversations whose human answers ours finds more
    likely for each byte."""


def _bytes(one: EncodedDialogue, lm: LanguageModel) -> int:
    """UTF-8 bytes of the answers in a row; the tokens that end them have none."""
    ids = [token for token, learned in zip(one.row.ids, one.row.learned, strict=True) if learned]
    return len(lm.tokenizer.decode(ids).encode())


def _perplexity(sums: NDArray[Any]) -> NDArray[np.float64]:
    """(nats, tokens), (R, 2) → (R,)."""
    return np.exp(sums[:, 0] / sums[:, 1])


def _bits(sums: NDArray[Any]) -> NDArray[np.float64]:
    return sums[:, 0] / sums[:, 1] / math.log(2)


def logprobs_per_byte(lm: LanguageModel, rows: Sequence[EncodedDialogue]) -> list[float]:
    """log p of the answers of each conversation, by their UTF-8 bytes: comparable between tokenizers."""
    scores = score_answers(lm.model, [one.row for one in rows])
    return [score / max(1, _bytes(one, lm)) for score, one in zip(scores, rows, strict=True)]


def glance_at_answers(lm: LanguageModel, rows: Sequence[EncodedDialogue]) -> dict[str, float]:
    """What is watched while training: `error` is the loss, nats for each token of the answers."""
    total = -sum(score_answers(lm.model, [one.row for one in rows]))
    loss = total / sum(sum(one.row.learned[1:]) for one in rows)
    return {"error": loss, "perplexity": math.exp(min(loss, 700.0))}


def answers_to_last(
    lm: LanguageModel, rows: Sequence[EncodedDialogue], settings: AnsweringSettings, *, seed: int
) -> list[str]:
    """What the model says where the last answer of each conversation stands."""
    from hanmo.tokenizers.chat import chat_ids

    asked = [one.dialogue.plain()[:-1] for one in rows]
    return lm.complete(
        [chat_ids(lm.tokenizer, messages) for messages in asked],
        max_new_tokens=settings.max_new_tokens, temperature=settings.temperature, top_p=settings.top_p,
        repetition_penalty=settings.repetition_penalty, seed=seed,
    )  # fmt: skip


def dialogue_figures(
    lm: LanguageModel, rows: Sequence[EncodedDialogue], told: Sequence[str], *, other: Sequence[float] | None
) -> Figures:
    """All figures of one split.

    Args:
        lm: the trained model.
        rows: conversations of the split.
        told: what the model answered last in the first of them.
        other: log-probability per byte that another model gives the answers of each conversation; None if there is none.

    Returns:
        Perplexity over the tokens of the answers, bits per byte of them, `win_rate`, and of the model's own answers
        distinct-1, distinct-2 (without intervals) and their mean length in words (Chinese: characters), each beside that
        of people.
    """
    scores = -np.array(score_answers(lm.model, [one.row for one in rows]))
    n_tokens = np.array([sum(one.row.learned[1:]) for one in rows], dtype=float)
    n_bytes = np.array([_bytes(one, lm) for one in rows], dtype=float)
    metrics = [
        PerExample("perplexity", np.stack([scores, n_tokens], axis=1), _perplexity),
        PerExample("bits_per_byte", np.stack([scores, n_bytes], axis=1), _bits),
    ]
    if other is not None:
        metrics.append(mean_of(wins(list(-scores / np.maximum(1, n_bytes)), other), "win_rate"))
    people = [one.dialogue.messages[-1].content for one in rows[: len(told)]]
    plain: dict[str, float] = {}
    for name, texts in (("", list(told)), ("_people", people)):
        for n in (1, 2):
            if any(len(units_of(text)) >= n for text in texts):
                plain[f"distinct_{n}{name}"] = distinct_n(texts, n)
        if texts:
            metrics.append(mean_of([float(len(units_of(text))) for text in texts], f"length{name}"))
    return Figures(n=len(rows), metrics=by_name(metrics), plain=plain)


def dialogue_records(rows: Sequence[EncodedDialogue], told: Sequence[str]) -> list[dict[str, Any]]:
    """One record for each answer that the model wrote, in the order of the conversations; plain values for JSON."""
    names = {"user": "<", "assistant": ">", "system": "#"}
    return [
        {
            "where": one.dialogue.where, "right": answer == one.dialogue.messages[-1].content,
            "label": one.dialogue.messages[-1].content, "predicted": answer,
            "text": "\n".join(f"{names[message.role]} {message.content}" for message in one.dialogue.messages[:-1]),
        }
        for one, answer in zip(rows, told, strict=False)
    ]  # fmt: skip
