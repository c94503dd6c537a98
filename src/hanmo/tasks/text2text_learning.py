"""Teacher forcing: examples to rows of ids, their loss, and what is watched on dev."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.batches.by_length import batches_by_length
from hanmo.batches.padded_rows import collate
from hanmo.core.errors import DataError
from hanmo.nn.losses import IGNORED, chunked_cross_entropy
from hanmo.tasks.pair_examples import PairExample
from hanmo.tasks.tables import problems_error
from hanmo.tasks.text2text_model import Text2TextModel
from hanmo.tasks.text2text_settings import Overlong

__all__ = ["encode_pairs", "show_pair", "teacher_forcing", "watched_loss"]

_POSITIONS_AT_ONCE = 8192
_TOKENS_SHOWN = 160


def encode_pairs(
    examples: Sequence[PairExample],
    model: Text2TextModel,
    *,
    overlong: Overlong,
    notes: Counter[str],
    drop_allowed: bool = True,
) -> list[dict[str, list[int]]]:
    """Rows of `input_ids` and `labels`, both with the end token.

    Args:
        examples: what to encode.
        model: whose tokenizer and longest text count.
        overlong: what becomes of an example one of whose sides is longer than the model can read or write.
        notes: is told how many.
        drop_allowed: if False, "drop" leaves nothing out: sides are cut.

    Raises:
        DataError: for "error", the first ten with their place; if nothing is left.
    """
    max_len = model.config.max_len
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
    end = list(model.eos_ids[:1])
    targets = model.tokenizer.encode_targets([example.target for example in examples])
    for example, target in zip(examples, targets, strict=True):
        source, labels = next(sources[example.written]), target + end
        longest = max(len(source), len(labels))
        if max_len is not None and longest > max_len:
            if overlong == "error":
                problems.append(f"{example.where}: {longest} tokens")
                continue
            if overlong == "drop" and drop_allowed:
                notes["examples left out because they are too long"] += 1
                continue
            notes["examples cut because they are too long"] += 1
            source = source if len(source) <= max_len else source[: max_len - 1] + end
            labels = labels[:max_len]  # a text that is cut has no end to learn
        rows.append({"input_ids": source, "labels": labels})
    if problems:
        raise problems_error(
            f"{len(problems)} examples have more than {max_len} tokens on one side", problems,
            'Raise model.max_len, or set [data] overlong = "drop" or "truncate".',
        )  # fmt: skip
    if not rows:
        raise DataError("no example is short enough for this model", where="[data]", remedy="Raise model.max_len.")
    return rows


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


def watched_loss(model: Text2TextModel, rows: Sequence[Mapping[str, list[int]]]) -> float:
    """Mean loss per token of the targets, in nats, without smoothing."""
    loss, fills = teacher_forcing(0.0), {"input_ids": model.fill_id, "labels": IGNORED}
    total, n = 0.0, 0
    device = model.model.head_weight.device
    lengths = [max(len(row["input_ids"]), len(row["labels"])) for row in rows]
    for numbers in batches_by_length(lengths, max_tokens=_POSITIONS_AT_ONCE):
        batch = {key: value.to(device) for key, value in collate([rows[row] for row in numbers], fills).items()}
        with torch.no_grad():
            found, counted = loss(model.model, batch)
        total, n = total + float(found), n + int(counted)
    return total / n


def show_pair(model: Text2TextModel, row: Mapping[str, list[int]]) -> list[str]:
    """A row as the model reads it, and the labels that its loss sees, token by token."""

    def told(ids: Sequence[int]) -> str:
        pieces = [model.tokenizer.decode([token], skip_special=False) or f"<{token}>" for token in ids[:_TOKENS_SHOWN]]
        return "  " + "|".join(pieces)

    return ["source:", told(row["input_ids"]), "labels (all count in the loss):", told(row["labels"])]
