"""Direct preference optimisation (Rafailov et al., 2023): a model learns to prefer what people prefer, without a model of
rewards.

c chosen and r rejected answer, x prompt, π the model, π₀ what it was before training. The reward of an answer is
β (log π(y|x) - log π₀(y|x)); since π₀ does not change, its half is computed once, before the first step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator
from torch.nn import functional as F

from hanmo.batches.packed_rows import PACKED_FILLS, next_token_row
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.settings import Settings
from hanmo.tasks.answer_scores import answer_logprobs, score_answers
from hanmo.tasks.preference_examples import PreferencePair
from hanmo.tasks.tables import problems_error
from hanmo.tokenizers.chat import ChatRow, chat_ids, chat_row

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hanmo.tasks.language_model import LanguageModel

__all__ = [
    "EncodedPair",
    "PreferenceSettings",
    "encode_pairs",
    "preference_fills",
    "preference_loss",
    "preference_losses",
    "preference_rows",
    "score_pairs",
]


class PreferenceSettings(Settings):
    """What is learned of preferences."""

    loss: Literal["dpo", "ipo"] = "dpo"
    """`dpo`: the logistic loss of Rafailov et al.; `ipo`: a square that does not push without end (Azar et al., 2023)."""
    beta: float = Field(default=0.1, gt=0)
    """How dear it is to move away from the model before training."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of pairs that may be the wrong way round (dpo)."""
    max_len: int | None = Field(default=None, ge=8)
    """Longest prompt with its answer, in tokens; that of the model if None."""
    overlong: Literal["error", "drop", "truncate"] = "error"
    """What to do with longer ones: refuse, leave the pair out, or cut off the end of the answer."""

    @model_validator(mode="after")
    def _smoothing_is_of_dpo(self) -> PreferenceSettings:
        if self.loss == "ipo" and self.label_smoothing:
            raise ValueError('label_smoothing has no meaning for loss = "ipo"; leave it out')
        return self


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """Both answers, each with its prompt, as ids; what is learned are the answers."""

    pair: PreferencePair
    chosen: ChatRow
    rejected: ChatRow


def encode_pairs(
    pairs: Sequence[PreferencePair], lm: LanguageModel, settings: PreferenceSettings
) -> tuple[list[EncodedPair], Counter[str]]:
    """Encode them, and treat those that are too long as was asked.

    Returns:
        What fits, and how many were dropped or truncated.

    Raises:
        ConfigError: where prompts are texts, if the tokenizer has no token for the end of a text.
        DataError: for pairs that are too long where that is an error, and those whose answers are the same, or not there,
            when cut; each with file, line and length, the first ten.
    """
    max_len = min(settings.max_len or lm.config.max_len, lm.config.max_len)
    found: list[EncodedPair] = []
    notes: Counter[str] = Counter()
    problems: list[str] = []
    for pair in pairs:
        both = [_row(pair, answer, lm) for answer in (pair.chosen, pair.rejected)]
        longest = max(len(row.ids) for row in both)
        if longest > max_len:
            if settings.overlong == "error":
                problems.append(f"{pair.where}: {longest} tokens, and room for {max_len}")
                continue
            if settings.overlong == "drop":
                notes["pairs that are too long, left out"] += 1
                continue
            notes["pairs that are too long, cut off at the end"] += 1
            both = [ChatRow(row.ids[:max_len], row.learned[:max_len]) for row in both]
        if both[0].ids == both[1].ids or not all(any(row.learned) for row in both):
            problems.append(f"{pair.where}: within {max_len} tokens the answers do not differ")
            continue
        found.append(EncodedPair(pair, *both))
    if problems:
        raise problems_error(
            f"{len(problems)} pairs do not fit", problems,
            '[preferences] overlong = "drop" leaves them out, "truncate" cuts off their end; max_len allows for longer ones.',
        )  # fmt: skip
    if not found:
        raise DataError("no pair is left to learn from", where="[preferences] overlong")
    return found, notes


def _row(pair: PreferencePair, answer: str, lm: LanguageModel) -> ChatRow:
    tokenizer = lm.tokenizer
    if isinstance(pair.prompt, str):
        if tokenizer.eos_id is None:
            raise ConfigError("this tokenizer has no token for the end of a text", where="tokenizer_config.json")
        prompt, ids = lm.prompt_ids(pair.prompt), [*tokenizer.encode(answer), tokenizer.eos_id]
        return ChatRow([*prompt, *ids], [False] * len(prompt) + [True] * len(ids))
    messages = [{"role": message.role, "content": message.content} for message in pair.prompt]
    try:
        row = chat_row(tokenizer, [*messages, {"role": "assistant", "content": answer}])
        begin = len(chat_ids(tokenizer, messages))
    except DataError as error:
        raise DataError(error.what, where=pair.where, remedy=error.remedy) from error
    return ChatRow(row.ids, [learned and place >= begin for place, learned in enumerate(row.learned)])


def score_pairs(model: nn.Module, pairs: Sequence[EncodedPair]) -> list[tuple[float, float]]:
    """log π of both answers of each pair, in nats; dropout off, without gradients."""
    found = score_answers(model, [row for one in pairs for row in (one.chosen, one.rejected)])
    return list(zip(found[::2], found[1::2], strict=True))


def preference_rows(pairs: Sequence[EncodedPair], reference: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Rows for `hanmo.batches.padded_rows`: `input_ids` and `labels` of both, and log π₀ of both as `reference`."""
    rows = []
    for one, known in zip(pairs, reference, strict=True):
        both = [next_token_row(row.ids, row.learned) for row in (one.chosen, one.rejected)]
        rows.append({key: [row[key] for row in both] for key in ("input_ids", "labels")} | {"reference": list(known)})
    return rows


def preference_fills(pad_id: int) -> dict[str, int]:
    """What fills up the sequences of such a row."""
    return {"input_ids": pad_id, "labels": PACKED_FILLS["labels"]}


def preference_losses(gap: Tensor, settings: PreferenceSettings) -> Tensor:
    """The loss of each pair.

    Args:
        gap: log π(c|x)/π₀(c|x) - log π(r|x)/π₀(r|x), (B,).
        settings: dpo is -log σ(β gap) (Rafailov et al., 2023, eq. 7), with smoothing ε the mean of it and of the loss of the
            pair turned round, (1 - ε) to ε (Mitchell, 2023); ipo is (gap - 1 / 2β)² (Azar et al., 2023, eq. 17).

    Returns:
        (B,).
    """
    if settings.loss == "ipo":
        return (gap - 1 / (2 * settings.beta)) ** 2
    epsilon = settings.label_smoothing
    return -(1 - epsilon) * F.logsigmoid(settings.beta * gap) - epsilon * F.logsigmoid(-settings.beta * gap)


def preference_loss(settings: PreferenceSettings) -> Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, int]]:
    """The loss that `hanmo.training.loop.fit` is handed: a sum over pairs, and how many they are."""

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        ids, labels = batch["input_ids"].flatten(0, 1), batch["labels"].flatten(0, 1)  # (2B, T): c, r, c, r, ...
        ratio = answer_logprobs(model, ids, labels).unflatten(0, (-1, 2)) - batch["reference"]  # (B, 2)
        return preference_losses(ratio[:, 0] - ratio[:, 1], settings).sum(), len(ratio)

    return loss
