"""The causal language modelling objective: predict each token from those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from hanmo.models.next_token import NextTokenModel
from hanmo.nn.losses import IGNORED, chunked_cross_entropy

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["causal_lm_loss"]


def causal_lm_loss(
    model: nn.Module, batch: dict[str, Tensor], *, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Sum of the negative log-likelihoods of the labels, in nats, and how many labels there are.

    Args:
        model: a `NextTokenModel`.
        batch: `input_ids` (B, T) and `labels` (B, T), labels already shifted, -100 where none is scored; perhaps
            `position_ids` (B, T), which begin again where a row holds several texts.
        label_smoothing: share of each label that is spread over the whole vocabulary.
    """
    lm = cast(NextTokenModel, model)
    labels = batch["labels"].flatten()
    hidden = lm.hidden(batch["input_ids"], position_ids=batch.get("position_ids")).flatten(0, 1)
    if hidden.device.type == "cpu" and not torch.compiler.is_compiling():
        scored = (labels != IGNORED).nonzero().squeeze(1)
        if len(scored) < len(labels):  # the head, which may be most of the work, sees no more than it has to
            hidden, labels = hidden[scored], labels[scored]
    total = chunked_cross_entropy(
        hidden, lm.head_weight, labels, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing
    )
    return total, (labels != IGNORED).sum()
