"""From token ids to the vectors that the first layer sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.linear import Linear, Lookup
from hanmo.nn.norms import LayerNorm
from hanmo.nn.positions import LearnedPositions

__all__ = ["Embedding", "SegmentEmbedding", "check_ids"]


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


class SegmentEmbedding(nn.Module):
    """Token + position + segment vectors, their norm, dropout (Devlin et al., 2019, fig. 2); E width, D d_model."""

    def __init__(
        self,
        vocab_size: int,
        width: int,
        *,
        max_len: int,
        n_segments: int,
        norm_eps: float,
        dropout: float,
        pad_id: int | None = None,
        count_from_pad: bool = False,
        d_model: int | None = None,
    ):
        """Args:
        width: E, of the vectors.
        n_segments: kinds of segments (`token_type_ids`); 0 for none.
        pad_id: the token that fills rows; its vector is not trained as input.
        count_from_pad: positions number only tokens other than `pad_id` and begin at `pad_id + 1` (Liu et al., 2019).
        d_model: D, if the vectors are to be projected to it (factorised embedding, Lan et al., 2020, §3.1).
        """
        super().__init__()
        self.token = Lookup(vocab_size, width)
        self.positions = LearnedPositions(max_len, width)
        self.segments = Lookup(n_segments, width) if n_segments else None
        self.norm = LayerNorm(width, eps=norm_eps)
        self.project = Linear(width, d_model) if d_model is not None else None
        self.dropout = dropout
        self.pad_id = pad_id
        self.count_from_pad = count_from_pad

    def forward(
        self,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Ids (B, T), or token vectors (B, T, E) in their place, with segments (B, T), all 0 if None, → (B, T, D).

        Raises:
            ConfigError: for an id, a segment or a position that there is no row for.
        """
        if inputs_embeds is not None:
            x = inputs_embeds
        else:
            assert input_ids is not None
            check_ids(input_ids, self.token.num_embeddings, training=self.training)
            x = F.embedding(input_ids, self.token.weight, padding_idx=self.pad_id)
        if self.segments is not None:
            if token_type_ids is None:
                x = x + self.segments.weight[0]
            else:
                check_ids(
                    token_type_ids, self.segments.num_embeddings, training=self.training,
                    where="token_type_ids", what="segment",
                )  # fmt: skip
                x = x + F.embedding(token_type_ids, self.segments.weight)
        if self.count_from_pad and position_ids is None:
            assert self.pad_id is not None
            position_ids = self._count(input_ids, x.shape[1], x.device)
        x = self.norm(x + self.positions(position_ids, x.shape[1]))
        x = F.dropout(x, self.dropout, self.training) if self.dropout else x
        return x if self.project is None else self.project(x)

    def _count(self, input_ids: Tensor | None, length: int, device: torch.device) -> Tensor:
        pad = self.pad_id or 0
        if input_ids is None:
            return torch.arange(pad + 1, pad + 1 + length, device=device)[None]
        real = input_ids != pad
        return real.long().cumsum(-1) * real + pad


def check_ids(
    ids: Tensor, vocab_size: int, *, training: bool = False, where: str = "input_ids", what: str = "token id"
) -> None:
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
            f"{what} {low if low < 0 else high} is outside the vocabulary of {vocab_size}",
            where=where,
            remedy="Encode the text with the tokenizer that belongs to this model.",
        )
