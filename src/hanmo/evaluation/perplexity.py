"""Loss, perplexity and bits per byte of a model on held-out blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hanmo.core.errors import DataError
from hanmo.metrics.compression import bits_per_byte, perplexity
from hanmo.nn.evaluating import evaluating

if TYPE_CHECKING:
    from torch import Tensor

    from hanmo.models.next_token import NextTokenModel

__all__ = ["evaluate_blocks"]


def evaluate_blocks(model: NextTokenModel, blocks: Iterable[Mapping[str, Tensor]], *, n_bytes: int) -> dict[str, float]:
    """Score every labelled token of held-out blocks once.

    The mean is over tokens, not over blocks, so a short last block weighs what it holds. Dropout is off during
    the call and the model is left in the mode it was in.

    Args:
        model: has `hidden(input_ids) -> (B, T, D)` and `head_weight`, (V, D).
        blocks: each with `input_ids` (B, T) and `labels` (B, T), labels already shifted (`labels[t]` is the token
            after `input_ids[t]`), -100 where nothing is to be scored.
        n_bytes: UTF-8 bytes of the text that the labels spell.

    Returns:
        `loss` (nats per token), `bits_per_byte`, `perplexity` (per token), `tokens` (how many were scored).

    Raises:
        DataError: if no token is labelled.
    """
    import torch

    from hanmo.nn.losses import IGNORED, chunked_cross_entropy

    device = next(model.parameters()).device
    total, n_tokens = 0.0, 0
    # not inference_mode: a table that the model caches here (rotary angles) must stay usable in training
    with evaluating(model), torch.no_grad():
        for block in blocks:
            labels = block["labels"].to(device).flatten()
            hidden = model.hidden(block["input_ids"].to(device)).flatten(0, 1)
            loss = chunked_cross_entropy(hidden, model.head_weight, labels, ignore_index=IGNORED, reduction="sum")
            total += float(loss)
            n_tokens += int((labels != IGNORED).sum())
    if n_tokens == 0:
        raise DataError("there is no held-out token to score", remedy="Hold out more text.")
    return {
        "loss": total / n_tokens,
        "bits_per_byte": bits_per_byte(total, n_bytes),
        "perplexity": perplexity(total, n_tokens),
        "tokens": float(n_tokens),
    }
