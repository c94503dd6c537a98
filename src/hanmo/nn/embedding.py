"""From token ids to the vectors that the first layer sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
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
        x = self.vectors(input_ids) if inputs_embeds is None else inputs_embeds
        if self.positions is not None:
            x = x + self.positions(position_ids, x.shape[1], offset)
        return dropped(x, self.dropout, self.training)

    def vectors(self, input_ids: Tensor | None) -> Tensor:
        """Those of the tokens alone, (B, T) → (B, T, D).

        Raises:
            ConfigError: for an id outside the vocabulary.
        """
        assert input_ids is not None
        check_ids(input_ids, self.token.num_embeddings, training=self.training)
        return F.embedding(input_ids, self.token.weight)


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
        max_len: longest text, in tokens.
        n_segments: kinds of segments (`token_type_ids`); 0 for none.
        pad_id: the token that fills rows; its vector is not trained as input.
        count_from_pad: positions number only tokens other than `pad_id` and begin at `pad_id + 1` (Liu et al., 2019);
            so there are `pad_id + 1` more of them than `max_len`.
        d_model: D, if the vectors are to be projected to it (factorised embedding, Lan et al., 2020, §3.1).
        """
        super().__init__()
        if count_from_pad and pad_id is None:
            raise ConfigError("positions that count from pad_id need one", where="pad_id")
        first = pad_id + 1 if count_from_pad and pad_id is not None else 0
        self.token = Lookup(vocab_size, width)
        self.positions = LearnedPositions(max_len + first, width, pad_id=pad_id if count_from_pad else None)
        self.segments = Lookup(n_segments, width) if n_segments else None
        self.norm = LayerNorm(width, eps=norm_eps)
        self.project = Linear(width, d_model) if d_model is not None else None
        self.dropout = dropout
        self.max_len = max_len
        self.pad_id = pad_id
        self.count_from_pad = count_from_pad

    def forward(
        self,
        input_ids: Tensor | None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        position_ids: Tensor | None = None,
        offset: int = 0,
    ) -> Tensor:
        """Ids (B, T), or token vectors (B, T, E) in their place, with segments (B, T), all 0 if None, → (B, T, D).

        Where no positions are given, they go on from `offset`.

        Raises:
            ConfigError: for an id, a segment or a position that there is no row for, or shapes that do not fit.
        """
        if inputs_embeds is not None:
            if inputs_embeds.shape[-1] != self.token.embedding_dim:
                raise ConfigError(
                    f"token vectors are {inputs_embeds.shape[-1]} wide, this model takes {self.token.embedding_dim}",
                    where="inputs_embeds",
                )
            x = inputs_embeds
        else:
            x = self.vectors(input_ids)
        if self.segments is not None:
            if token_type_ids is None:
                x = x + self.segments.weight[0]
            else:
                x = x + self._segments(token_type_ids, x.shape[:2], self.segments)
        elif token_type_ids is not None:
            raise ConfigError("this model knows no segments", where="token_type_ids", remedy="Leave them out.")
        if self.count_from_pad and position_ids is None:
            position_ids = self._count(input_ids, x.shape[1], offset, x.device)
        x = self.norm(x + self.positions(position_ids, x.shape[1], offset))
        x = dropped(x, self.dropout, self.training)
        return x if self.project is None else self.project(x)

    def vectors(self, input_ids: Tensor | None) -> Tensor:
        """Those of the tokens alone, (B, T) → (B, T, E).

        Raises:
            ConfigError: for an id outside the vocabulary.
        """
        assert input_ids is not None
        check_ids(input_ids, self.token.num_embeddings, training=self.training)
        return F.embedding(input_ids, self.token.weight, padding_idx=self.pad_id)

    def _segments(self, token_type_ids: Tensor, shape: torch.Size, segments: Lookup) -> Tensor:
        if token_type_ids.shape != shape:
            raise ConfigError(
                f"token_type_ids have shape {tuple(token_type_ids.shape)}, the input {tuple(shape)}",
                where="token_type_ids",
            )
        check_ids(
            token_type_ids, segments.num_embeddings, training=self.training, where="token_type_ids", what="segment"
        )
        return F.embedding(token_type_ids, segments.weight)

    def _count(self, input_ids: Tensor | None, length: int, offset: int, device: torch.device) -> Tensor:
        assert self.pad_id is not None
        first = self.pad_id + 1 + offset
        if input_ids is None:
            return torch.arange(first, first + length, device=device)[None]
        real = input_ids != self.pad_id
        if offset + length > self.max_len and not torch.compiler.is_compiling():
            longest = offset + int(real.sum(-1).max())
            if longest > self.max_len:
                raise ConfigError(
                    f"{longest} tokens, but this model has learned positions for {self.max_len}",
                    where="input_ids",
                    remedy="Shorten or split the text; a model with learned positions cannot go past its max_len.",
                )
        return (real.cumsum(-1) + offset) * real + self.pad_id


def check_ids(
    ids: Tensor, vocab_size: int, *, training: bool = False, where: str = "input_ids", what: str = "token id"
) -> None:
    """Refuse ids that the model has no row for.

    Skipped where looking would cost more than it saves: inside a compiled graph, and in training on an accelerator
    (it would wait for the device at every step; the device itself stops at a bad id).

    Raises:
        ConfigError: names a bad id, or a type of numbers that are no ids.
    """
    if ids.dtype not in (torch.int64, torch.int32):
        remedy = f"Ids are whole numbers: give {where}.long()."
        raise ConfigError(f"a {what} is no {str(ids.dtype).removeprefix('torch.')}", where=where, remedy=remedy)
    if torch.compiler.is_compiling() or (training and ids.device.type != "cpu"):
        return
    low, high = (int(value) for value in torch.aminmax(ids))
    if low >= 0 and high < vocab_size:
        return
    bad = low if low < 0 else high
    if what == "token id":
        raise ConfigError(
            f"{what} {bad} is outside the vocabulary of {vocab_size}",
            where=where,
            remedy="Encode the text with the tokenizer that belongs to this model.",
        )
    raise ConfigError(f"{what} {bad} is outside 0 … {vocab_size - 1}", where=where)
