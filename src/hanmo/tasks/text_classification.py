"""Learning to tell the class of a text: rows for batches, the loss, and the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import DataError
from hanmo.tasks.adversarial import adversarial_loss
from hanmo.tasks.text_examples import Kind, TextExample
from hanmo.tasks.text_loss import LossSettings
from hanmo.tokenizers.framed import Framed, encode_windows
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.training.interfaces import Loss

__all__ = [
    "PROBLEM_TYPES",
    "check_lengths",
    "class_weights",
    "classification_loss",
    "encode_examples",
    "fills_of",
    "targets",
]

PROBLEM_TYPES = {
    "single": "single_label_classification",
    "multi": "multi_label_classification",
    "regression": "regression",
}
"""What config.json calls each kind of task."""


def encode_examples(
    examples: Sequence[TextExample],
    tokenizer: Tokenizer,
    labels: tuple[str, ...],
    kind: Kind,
    *,
    max_len: int | None,
    overlap: int,
    notes: Counter[str],
) -> list[dict[str, Any]]:
    """Rows for `hanmo.batches.padded_rows`: each text, or each window of a long one, with the label of its text.

    Args:
        examples: to learn from.
        tokenizer: of the model.
        labels: names of the classes.
        kind: one class a text, any number, or a number.
        max_len: longest row; any if None.
        overlap: tokens that windows share.
        notes: how many texts became windows is counted here.

    Raises:
        DataError: for a pair of two long texts, with file and line.
    """
    index = {name: number for number, name in enumerate(labels)}
    windows = _windows(examples, tokenizer, max_len, overlap)
    notes["training texts are longer than the model reads, and become windows"] += sum(
        len(rows) > 1 for rows in windows
    )
    segments = any(any(row.token_type_ids) for rows in windows for row in rows)
    found = []
    for example, rows in zip(examples, windows, strict=True):
        match kind:
            case "single":
                label: Any = index[str(example.label)]
            case "multi":
                label = [0] * len(labels)
                for name in example.label:
                    label[index[name]] = 1
            case "regression":
                label = float(example.label)
        extra = [{"token_type_ids": row.token_type_ids} if segments else {} for row in rows]
        found += [{"input_ids": row.ids, "labels": label} | more for row, more in zip(rows, extra, strict=True)]
    return found


def check_lengths(
    examples: Sequence[TextExample], tokenizer: Tokenizer, *, max_len: int | None, overlap: int, notes: Counter[str]
) -> None:
    """Make sure that a model can read what is not trained on, before it is trained; arguments and errors as
    `encode_examples`."""
    if max_len is not None:
        windows = _windows(examples, tokenizer, max_len, overlap)
        notes["dev and test texts are longer than the model reads, and become windows"] += sum(
            len(rows) > 1 for rows in windows
        )


def _windows(
    examples: Sequence[TextExample], tokenizer: Tokenizer, max_len: int | None, overlap: int
) -> list[list[Framed]]:
    try:
        return encode_windows(tokenizer, [example.texts for example in examples], max_len=max_len, overlap=overlap)
    except DataError as error:
        number = str(error.where).removeprefix("text ")
        where = examples[int(number)].where if number.isdecimal() else error.where
        raise DataError(error.what, where=where, remedy=error.remedy) from error


def fills_of(kind: Kind, pad_id: int) -> dict[str, int]:
    """What fills up each key of such a row."""
    return {"input_ids": pad_id, "token_type_ids": 0} | ({"labels": 0} if kind == "multi" else {})


def targets(examples: Sequence[TextExample], labels: tuple[str, ...], kind: Kind) -> np.ndarray:
    """What is to be told: (N,) int64 classes, (N, C) zeros and ones, or (N,) float64 numbers."""
    index = {name: number for number, name in enumerate(labels)}
    match kind:
        case "single":
            return np.array([index[str(example.label)] for example in examples], dtype=np.int64)
        case "multi":
            table = np.zeros((len(examples), len(labels)), dtype=np.int64)
            for row, example in enumerate(examples):
                for name in example.label:
                    table[row, index[name]] = 1
            return table
        case "regression":
            return np.array([float(example.label) for example in examples])


def class_weights(found: np.ndarray, n_labels: int) -> Tensor:
    """Weights that make classes count alike, (C,): n / (C n_c) where one class applies; where several do, what the
    examples that have a class are multiplied by, (n - n_c) / n_c.

    Args:
        found: as `targets` gives it.
        n_labels: C.
    """
    n = len(found)
    if found.ndim == 1:
        return torch.tensor(n / (n_labels * np.maximum(np.bincount(found, minlength=n_labels), 1)), dtype=torch.float32)
    counts = np.maximum(found.sum(0), 1)
    return torch.tensor((n - counts) / counts, dtype=torch.float32)


def classification_loss(kind: Kind, settings: LossSettings, weights: Tensor | None = None) -> Loss:
    """The loss that `hanmo.training.loop.fit` is handed: a sum over rows, and how many they are.

    Args:
        kind: one class a text, any number, or a number.
        settings: how it is counted.
        weights: of the classes, (C,), for `class_weights = "balanced"`.
    """

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        labels = batch["labels"]
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits = model(**inputs).logits.float()
        weight = None if weights is None else weights.to(logits.device)
        match kind:
            case "single":
                each = F.cross_entropy(
                    logits, labels, weight=weight, label_smoothing=settings.label_smoothing, reduction="none"
                )
                if settings.focal_gamma:
                    right = logits.softmax(-1).gather(-1, labels[:, None]).squeeze(-1)
                    each = each * (1 - right) ** settings.focal_gamma
            case "multi":
                each = F.binary_cross_entropy_with_logits(
                    logits, labels.float(), pos_weight=weight, reduction="none"
                ).mean(-1)
            case "regression":
                each = (logits.squeeze(-1) - labels) ** 2
        return each.sum(), len(labels)

    return adversarial_loss(loss, settings.adversarial) if settings.adversarial else loss
