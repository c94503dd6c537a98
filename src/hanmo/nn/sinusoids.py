"""Positions as waves of fixed lengths, nothing learned. Shapes: B batch, T positions, D d_model."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
from hanmo.nn.embedding import check_ids
from hanmo.nn.linear import Lookup

__all__ = ["Sinusoidal", "SinusoidalEmbedding", "sinusoids"]


def sinusoids(n_positions: int, d_model: int) -> Tensor:
    """`sin(p / 10000^(2i/D))` for all i, then the cosines (Vaswani et al., 2017, §3.5, whose order is sin, cos, sin, …).

    An odd width has one sine more than cosines. Computed in fp64, since fp32 is off by 1e-5 after a hundred positions.

    Returns:
        (n_positions, D), fp32.
    """
    exponents = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    angles = torch.arange(n_positions, dtype=torch.float64)[:, None] / 10_000.0**exponents  # (n, ⌈D/2⌉)
    return torch.cat((angles.sin(), angles[:, : d_model // 2].cos()), dim=-1).float()


class Sinusoidal:
    """The vectors of up to `max_len` positions, computed at first use; no parameter, so not cast with the weights."""

    def __init__(self, max_len: int, d_model: int):
        self.max_len, self.d_model = max_len, d_model
        self._table: Tensor | None = None

    def __call__(self, offset: int, length: int, device: torch.device) -> Tensor:
        """Vectors of `offset` … `offset + length - 1`, (T, D) fp32.

        Raises:
            ConfigError: past `max_len`.
        """
        if offset + length > self.max_len:
            raise ConfigError(
                f"{offset + length} positions, but this model is made for {self.max_len}",
                where="input_ids",
                remedy="Shorten or split the text.",
            )
        if self._table is None or self._table.device != device:
            self._table = sinusoids(self.max_len, self.d_model).to(device)
        return self._table[offset : offset + length]


class SinusoidalEmbedding(nn.Module):
    """Token vectors times `scale`, plus the waves of their positions, then dropout (Vaswani et al., 2017, §3.4 and 5.4)."""

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        *,
        max_len: int,
        scale: float = 1.0,
        dropout: float = 0.0,
        pad_id: int | None = None,
    ):
        """Args:
        max_len: longest text, in tokens.
        scale: √D in the paper.
        pad_id: the token that fills rows; its vector is not trained as input.
        """
        super().__init__()
        self.token = Lookup(vocab_size, d_model)
        self.positions = Sinusoidal(max_len, d_model)
        self.scale = scale
        self.dropout = dropout
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor | None, inputs_embeds: Tensor | None = None, *, offset: int = 0) -> Tensor:
        """Ids (B, T), or vectors (B, T, D) in the place of scaled token vectors, → (B, T, D).

        Args:
            input_ids: (B, T) int64.
            inputs_embeds: (B, T, D), already scaled.
            offset: number of positions that came before (in a cache).

        Raises:
            ConfigError: for an id outside the vocabulary, or a position past `max_len`.
        """
        x = self.vectors(input_ids) if inputs_embeds is None else inputs_embeds
        x = x + self.positions(offset, x.shape[1], x.device).to(x.dtype)
        return dropped(x, self.dropout, self.training)

    def vectors(self, input_ids: Tensor | None) -> Tensor:
        """Scaled ones of the tokens alone, (B, T) → (B, T, D).

        Raises:
            ConfigError: for an id outside the vocabulary.
        """
        assert input_ids is not None
        check_ids(input_ids, self.token.num_embeddings, training=self.training)
        return F.embedding(input_ids, self.token.weight, padding_idx=self.pad_id) * self.scale
