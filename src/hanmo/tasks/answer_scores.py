"""How likely a model finds answers, each as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional as F

from hanmo.batches.by_length import batches_by_length
from hanmo.batches.packed_rows import PACKED_FILLS, next_token_row
from hanmo.batches.padded_rows import collate
from hanmo.models.next_token import NextTokenModel
from hanmo.nn.evaluating import evaluating
from hanmo.nn.losses import IGNORED

if TYPE_CHECKING:
    from torch import Tensor, nn

    from hanmo.tokenizers.chat import ChatRow

__all__ = ["answer_logprobs", "score_answers"]

_SCORES_AT_ONCE = 1 << 26
"""Scores of tokens alive at a time: 256 MiB."""


def answer_logprobs(model: nn.Module, input_ids: Tensor, labels: Tensor) -> Tensor:
    """log p(answer | what stands before it) of each row, with its gradient.

    Args:
        model: a `NextTokenModel`.
        input_ids: (B, T), filled up on the right.
        labels: (B, T), the next id where it belongs to the answer, else -100.

    Returns:
        Sums over the tokens of the answers, (B,), in nats, fp32.
    """
    lm = cast(NextTokenModel, model)
    row, place = (labels != IGNORED).nonzero(as_tuple=True)
    hidden = lm.hidden(input_ids)[row, place]  # (N, D)
    logp = -F.cross_entropy(lm.logits(hidden).float(), labels[row, place], reduction="none")  # (N,)
    return torch.zeros(len(labels), device=logp.device).index_add(0, row, logp)


def score_answers(model: nn.Module, rows: Sequence[ChatRow]) -> list[float]:
    """`answer_logprobs` of rows of any length, dropout off, without gradients; in their order."""
    device = next(model.parameters()).device
    found = [0.0] * len(rows)
    size = cast(NextTokenModel, model).config.vocab_size
    with evaluating(model), torch.no_grad():
        for batch in batches_by_length([len(row.ids) for row in rows], max_tokens=max(1, _SCORES_AT_ONCE // size)):
            some = [next_token_row(rows[place].ids, rows[place].learned) for place in batch]
            packed = collate(some, PACKED_FILLS | {"input_ids": 0})
            scores = answer_logprobs(model, packed["input_ids"].to(device), packed["labels"].to(device))
            for place, score in zip(batch, scores.tolist(), strict=True):
                found[place] = score
    return found
