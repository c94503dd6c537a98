"""Teacher forcing: examples to rows of ids, their loss, and what is watched on dev."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.batches.by_length import batches_by_length
from hanmo.batches.padded_rows import collate
from hanmo.core.errors import DataError
from hanmo.nn.losses import IGNORED, chunked_cross_entropy
from hanmo.tasks.causal_lm import causal_lm_loss
from hanmo.tasks.pair_examples import PairExample
from hanmo.tasks.prompted_model import PromptedModel
from hanmo.tasks.tables import problems_error
from hanmo.tasks.text2text import Text2Text
from hanmo.tasks.text2text_settings import Overlong

__all__ = ["encode_pairs", "show_pair", "teacher_forcing", "text2text_loss", "watched_loss"]

_POSITIONS_AT_ONCE = 8192
_TOKENS_SHOWN = 160


def encode_pairs(
    examples: Sequence[PairExample],
    model: Text2Text,
    *,
    overlong: Overlong,
    notes: Counter[str],
    drop_allowed: bool = True,
) -> list[dict[str, list[int]]]:
    """Pairs as ids: `input_ids`, the source with all that stands around it, and `labels`, the target with its end.

    Args:
        examples: what to encode.
        model: whose tokenizer and longest text count.
        overlong: what becomes of an example that is longer than the model can read or write.
        notes: is told how many.
        drop_allowed: if False, "drop" leaves nothing out: sides are cut.

    Raises:
        DataError: for "error", the first ten with their place; if nothing is left.
    """
    rows: list[dict[str, list[int]]] = []
    problems: list[str] = []
    sources = {
        written: iter(
            model.encode(
                [one.source for one in examples if one.written is written],
                [one.languages for one in examples if one.written is written],
                marked=written,
            )
        )
        for written in (False, True)
    }
    targets = model.target_ids([example.target for example in examples])
    for example, target in zip(examples, targets, strict=True):
        whole = next(sources[example.written])
        source = model.cut(whole)
        room = model.max_target(len(source))
        if len(source) < len(whole) or (room is not None and len(target) > room):
            if overlong == "error":
                problems.append(f"{example.where}: {len(whole)} tokens of source, {len(target)} of target")
                continue
            if overlong == "drop" and drop_allowed:
                notes["examples left out because they are too long"] += 1
                continue
            notes["examples cut because they are too long"] += 1
            target = target[:room]  # a text that is cut has no end to learn
        rows.append({"input_ids": source, "labels": target})
    if problems:
        raise problems_error(
            f"{len(problems)} examples have more than {_room(model)}", problems,
            'Raise model.max_len, or set [data] overlong = "drop" or "truncate".',
        )  # fmt: skip
    if not rows:
        raise DataError("no example is short enough for this model", where="[data]", remedy="Raise model.max_len.")
    return rows


def _room(model: Text2Text) -> str:
    """What fits, in words."""
    most = model.config.max_len
    if model.max_source == most:
        return f"{most} tokens on one side"
    return f"{model.max_source} tokens of source and prompt, or {most} with the target"


def text2text_loss(
    model: Text2Text, smoothing: float
) -> Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, Tensor]]:
    """The loss of a batch of rows that the model made (`learned_row`): of the tokens of targets alone."""
    if isinstance(model, PromptedModel):
        return partial(causal_lm_loss, label_smoothing=smoothing)
    return teacher_forcing(smoothing)


def teacher_forcing(smoothing: float) -> Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, Tensor]]:
    """The loss of a batch of `TokenRows`: each token of the target from the source and the right tokens before it.

    Padding of the targets never reaches the vocabulary.
    """

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        network: Any = model
        labels = batch["labels"]
        hidden = network.taught(batch["input_ids"], batch.get("attention_mask"), labels)  # (B, T, D)
        counted = labels != IGNORED
        total = chunked_cross_entropy(
            hidden[counted], network.head_weight, labels[counted], bias=network.logits_bias, label_smoothing=smoothing
        )
        return total, counted.sum()

    return loss


def watched_loss(model: Text2Text, pairs: Sequence[Mapping[str, list[int]]]) -> float:
    """Mean loss per token of the targets of what `encode_pairs` made, in nats, without smoothing."""
    loss, fills = text2text_loss(model, 0.0), {"input_ids": model.fill_id, "labels": IGNORED}
    rows = [model.learned_row(pair["input_ids"], pair["labels"]) for pair in pairs]
    total, n = 0.0, 0
    network: Any = model.model
    device = network.head_weight.device
    lengths = [max(len(row["input_ids"]), len(row["labels"])) for row in rows]
    for numbers in batches_by_length(lengths, max_tokens=_POSITIONS_AT_ONCE):
        batch = {key: value.to(device) for key, value in collate([rows[row] for row in numbers], fills).items()}
        with torch.no_grad():
            found, counted = loss(network, batch)
        total, n = total + float(found), n + int(counted)
    return total / n


def show_pair(model: Text2Text, row: Mapping[str, list[int]]) -> list[str]:
    """A pair as the model reads it, and the labels that its loss sees, token by token."""

    def told(ids: Sequence[int]) -> str:
        pieces = [model.tokenizer.decode([token], skip_special=False) or f"<{token}>" for token in ids[:_TOKENS_SHOWN]]
        return "  " + "|".join(pieces)

    return ["source:", told(row["input_ids"]), "labels (all count in the loss):", told(row["labels"])]
