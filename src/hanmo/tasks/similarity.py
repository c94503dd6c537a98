"""Learning which texts are alike: rows for batches, and losses over the vectors of an encoder.

B examples, K texts in each, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.nn.pooling import POOLINGS
from hanmo.tasks.embeddings import SentenceEncoder
from hanmo.tasks.similarity_examples import SimilarityExample
from hanmo.tasks.similarity_settings import LossKind, SimilarityLoss
from hanmo.tasks.splits import Splits, folded
from hanmo.tasks.tables import problems_error
from hanmo.tokenizers.framed import encode_framed
from hanmo.training.interfaces import Loss

__all__ = [
    "check_lengths",
    "cosine_loss",
    "encode_similar",
    "ranking_loss",
    "similarity_fills",
    "similarity_loss",
    "triplet_loss",
]


def check_lengths(splits: Splits[SimilarityExample], encoder: SentenceEncoder) -> None:
    """Refuse texts that are longer than the encoder can read.

    Raises:
        DataError: names them with file and line, the first ten.
    """
    if encoder.max_len is None:
        return
    problems = []
    for example in (*splits.train, *splits.dev, *splits.test):
        longest = max(len(row.ids) for row in encode_framed(encoder.tokenizer, example.texts))
        if longest > encoder.max_len:
            problems.append(f"{example.where}: {longest} tokens")
    if problems:
        raise problems_error(
            f"{len(problems)} examples have a text of more than {encoder.max_len} tokens", problems,
            'Shorten them, or cut their ends with [data] overlong = "truncate".',
        )  # fmt: skip


def encode_similar(
    examples: Sequence[SimilarityExample], encoder: SentenceEncoder, *, lowest: float = 0.0, highest: float = 1.0
) -> list[dict[str, Any]]:
    """Rows for `hanmo.batches.padded_rows`: the ids of each text of an example, the numbers of the texts (equal for
    texts that are the same), and the score, brought from `lowest`..`highest` to 0..1. Long texts are cut.
    """
    framed = encode_framed(
        encoder.tokenizer,
        [text for example in examples for text in example.texts],
        max_len=encoder.max_len,
        overlong="truncate",
    )
    segments = any(any(row.token_type_ids) for row in framed)
    numbers: dict[str, int] = {}
    rows, place = [], 0
    for example in examples:
        own = framed[place : place + len(example.texts)]
        place += len(own)
        row: dict[str, Any] = {
            "input_ids": [text.ids for text in own],
            "texts": [numbers.setdefault(folded(text), len(numbers)) for text in example.texts],
        }
        if segments:
            row["token_type_ids"] = [text.token_type_ids for text in own]
        if example.score is not None:
            row["labels"] = (example.score - lowest) / (highest - lowest)
        rows.append(row)
    return rows


def similarity_fills(pad_id: int) -> dict[str, int]:
    """What fills up each key of such a row."""
    return {"input_ids": pad_id, "token_type_ids": 0}


def similarity_loss(kind: LossKind, settings: SimilarityLoss, pooling: str) -> Loss:
    """The loss that `hanmo.training.loop.fit` is handed: a sum over examples, and how many they are.

    Args:
        kind: which one.
        settings: its constants.
        pooling: how the vectors of a text become one.
    """

    def loss(model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, int]:
        b, k, _ = batch["input_ids"].shape
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: batch[name].flatten(0, 1) for name in names if name in batch}  # (B K, T)
        hidden = model(**inputs).last_hidden_state.float()
        pooled = POOLINGS[pooling](hidden, inputs.get("attention_mask"))
        vectors = F.normalize(pooled, dim=-1).unflatten(0, (b, k))  # (B, K, D)
        match kind:
            case "ranking":
                total = ranking_loss(vectors, batch["texts"], settings.temperature)
            case "triplet":
                total = triplet_loss(vectors, settings.margin)
            case "cosine":
                total = cosine_loss(vectors, batch["labels"])
        return total, b

    return loss


def ranking_loss(vectors: Tensor, texts: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of choosing the text that belongs among all of the batch (Henderson et al., 2017, §4; with cosines
    and a temperature the InfoNCE of Oord et al., 2018, eq. 4).

    The third texts of triples are among the choices. A choice that is the same text as the right one, as the first one,
    or that belongs to the same first one elsewhere in the batch is no wrong answer, and is left out.

    Args:
        vectors: of length 1, (B, K, D): the first text, the one that belongs, and perhaps one that does not.
        texts: numbers of the texts, (B, K); the same for the same text.
        temperature: what cosines are divided by.

    Returns:
        Sum over the batch.
    """
    b = len(vectors)
    choices = vectors[:, 1:].transpose(0, 1).flatten(0, 1)  # (C, D): all that belong, then all that do not
    numbers = texts[:, 1:].transpose(0, 1).flatten()  # (C,)
    own = torch.eye(b, dtype=torch.bool, device=texts.device)  # (B, B)
    no_choice = (numbers == texts[:, 1:2]) | (numbers == texts[:, :1])  # (B, C)
    no_choice[:, :b] |= texts[:, :1] == texts[:, 0]
    no_choice[:, :b] &= ~own
    scores = (vectors[:, 0] @ choices.T / temperature).masked_fill(no_choice, float("-inf"))
    return F.cross_entropy(scores, torch.arange(b, device=texts.device), reduction="sum")


def triplet_loss(vectors: Tensor, margin: float) -> Tensor:
    """`max(0, margin - cos(first, second) + cos(first, third))` (Reimers & Gurevych, 2019, §3, who take distances).

    Args:
        vectors: of length 1, (B, 3, D).
        margin: by how much the cosines are to differ.

    Returns:
        Sum over the batch.
    """
    first, second, third = vectors.unbind(1)
    return F.relu(margin - (first * second).sum(-1) + (first * third).sum(-1)).sum()


def cosine_loss(vectors: Tensor, labels: Tensor) -> Tensor:
    """`(cos(first, second) - label)²` (Reimers & Gurevych, 2019, §3, regression).

    Args:
        vectors: of length 1, (B, 2, D).
        labels: 0..1, (B,).

    Returns:
        Sum over the batch.
    """
    first, second = vectors.unbind(1)
    return ((first * second).sum(-1) - labels).square().sum()
