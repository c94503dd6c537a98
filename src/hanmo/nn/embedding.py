"""From token ids to the vectors that the first layer sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Lookup
from hanmo.nn.positions import LearnedPositions

__all__ = ["Embedding", "check_ids"]


class Embedding(nn.Module):
    """Token vectors, plus position vectors where positions are learned, then dropout."""

    def __init__(
        self, vocab_size: int, d_model: int, *, positions: LearnedPositions | None = None, dropout: float = 0.0
    ):
        super().__init__()
        self.token = Lookup(vocab_size, d_model)
        self.positions = positions
        self.dropout = dropout

    def forward(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        offset: int = 0,
    ) -> Tensor:
        """Ids (B, T), or token vectors (B, T, D) in their place, → (B, T, D).

        Raises:
            ConfigError: for an id outside the vocabulary or a position past the last learned one.
        """
        if inputs_embeds is not None:
            x = inputs_embeds
        else:
            assert input_ids is not None
            check_ids(input_ids, self.token.num_embeddings, training=self.training)
            x = F.embedding(input_ids, self.token.weight)
        if self.positions is not None:
            x = x + self.positions(position_ids, x.shape[1], offset)
        return F.dropout(x, self.dropout, self.training) if self.dropout else x


def check_ids(ids: Tensor, vocab_size: int, *, training: bool = False, where: str = "input_ids") -> None:
    """Refuse ids that the model has no row for.

    Skipped where looking would cost more than it saves: inside a compiled graph, and in training on an accelerator
    (it would wait for the device at every step; the device itself stops at a bad id).

    Raises:
        ConfigError: names the first bad id.
    """
    if torch.compiler.is_compiling() or (training and ids.device.type != "cpu"):
        return
    low, high = (int(value) for value in torch.aminmax(ids))
    if low < 0 or high >= vocab_size:
        raise ConfigError(
            f"token id {low if low < 0 else high} is outside the vocabulary of {vocab_size}",
            where=where,
            remedy="Encode the text with the tokenizer that belongs to this model.",
        )
