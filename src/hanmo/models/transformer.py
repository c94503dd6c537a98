"""The first Transformer (Vaswani et al., 2017): sinusoidal positions, ReLU, LayerNorm after each sublayer. In files it is
what Marian (Junczys-Dowmunt et al., 2018) is."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from hanmo.core.settings import Settings
from hanmo.models.checks import check_activation, check_heads, check_pad
from hanmo.models.seq2seq import Seq2SeqLM, SourceEncoder, start_token
from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.block import Block, PostNorm
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Linear
from hanmo.nn.norms import LayerNorm
from hanmo.nn.sinusoids import SinusoidalEmbedding
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "TransformerConfig", "transformer"]

_NORM_EPS = 1e-5


class TransformerConfig(Settings):
    """Shape and constants of a Transformer with encoder and decoder."""

    vocab_size: int = Field(37000, gt=0)
    """Tokens that the source may have."""
    decoder_vocab_size: int = Field(default_factory=lambda data: data["vocab_size"], gt=0)
    """Tokens that the target may have; the same unless given."""
    max_len: int = Field(1024, gt=0)
    """Longest source and longest target, in tokens."""
    d_model: int = Field(512, gt=0)
    """Width of the residual streams."""
    n_layers: int = Field(6, gt=0, le=4096)
    """Number of the encoder's blocks."""
    n_heads: int = Field(8, gt=0)
    """Attention heads of the encoder; must divide d_model."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the encoder's feed-forward layers; 4 d_model unless given."""
    n_decoder_layers: int = Field(default_factory=lambda data: data["n_layers"], gt=0, le=4096)
    """Number of the decoder's blocks; as many unless given."""
    n_decoder_heads: int = Field(default_factory=lambda data: data["n_heads"], gt=0)
    """Attention heads of the decoder; as many unless given."""
    d_decoder_ff: int = Field(default_factory=lambda data: data["d_ff"], gt=0)
    """Width inside the decoder's feed-forward layers; the same unless given."""
    activation: str = "relu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of the embeddings or of a sublayer's output in training."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    dropout_activation: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element inside the feed-forward layer in training."""
    scale_embedding: bool = True
    """Multiply token vectors by √d_model (§3.4)."""
    share_embeddings: bool = True
    """One set of token vectors for source, target and output."""
    tie_embeddings: bool = True
    """Use the target's token vectors as output matrix too."""
    init_std: float = Field(0.02, gt=0)
    """Standard deviation of the weights at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = 0
    """Token or tokens that end a text."""
    pad_id: int | None = Field(
        default_factory=lambda data: min(data["vocab_size"], data["decoder_vocab_size"]) - 1, ge=0
    )
    """Token that fills up rows; its vector is not trained as input. The last one unless given."""
    decoder_start_id: int | None = Field(default_factory=lambda data: data["pad_id"], ge=0)
    """Token that the decoder starts from; that of padding unless given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_heads(self.d_model, self.n_heads)
        check_heads(self.d_model, self.n_decoder_heads)
        check_activation(self.activation)
        if self.share_embeddings and not self.tie_embeddings:
            raise ValueError("embeddings that are shared by source and target are tied to the output, too")
        if self.share_embeddings and self.decoder_vocab_size != self.vocab_size:
            raise ValueError(
                f"decoder_vocab_size {self.decoder_vocab_size} differs from vocab_size {self.vocab_size}, "
                "but their embeddings are shared"
            )
        check_pad(self.pad_id, min(self.vocab_size, self.decoder_vocab_size))
        if self.decoder_start_id is not None and self.decoder_start_id >= self.decoder_vocab_size:
            raise ValueError(f"decoder_start_id {self.decoder_start_id} is outside the vocabulary")
        return self

    @property
    def start_id(self) -> int:
        """Token that the decoder starts from.

        Raises:
            ConfigError: if there is none.
        """
        return start_token(self.decoder_start_id)

    @property
    def d_decoder_head(self) -> int:
        """Width of the decoder's heads."""
        return self.d_model // self.n_decoder_heads


SIZES: dict[str, dict[str, Any]] = {
    "transformer-base": {"n_layers": 6, "d_model": 512, "n_heads": 8, "d_ff": 2048},
    "transformer-big": {"n_layers": 6, "d_model": 1024, "n_heads": 16, "d_ff": 4096},
}


def transformer(config: TransformerConfig) -> Seq2SeqLM:
    """Assemble a Transformer with fresh weights."""
    c = config

    def within(inner: nn.Module) -> PostNorm:
        return PostNorm(inner, LayerNorm(c.d_model, eps=_NORM_EPS), dropout=c.dropout)

    def block(n_heads: int, d_ff: int, *, decodes: bool) -> Block:
        attention = SelfAttention(c.d_model, n_heads, dropout=c.dropout_attention)
        cross = CrossAttention(c.d_model, n_heads, dropout=c.dropout_attention)
        feedforward = FeedForward(c.d_model, d_ff, activation=c.activation, dropout=c.dropout_activation)
        return Block(
            attention=within(attention),
            cross_attention=within(cross) if decodes else None,
            feedforward=within(feedforward),
        )

    def embedding(vocab_size: int) -> SinusoidalEmbedding:
        return SinusoidalEmbedding(
            vocab_size,
            c.d_model,
            max_len=c.max_len,
            scale=math.sqrt(c.d_model) if c.scale_embedding else 1.0,
            dropout=c.dropout,
            pad_id=c.pad_id,
        )

    model = Seq2SeqLM(
        c,
        encoder=SourceEncoder(
            c,
            embedding=embedding(c.vocab_size),
            stack=Stack([block(c.n_heads, c.d_ff, decodes=False) for _ in range(c.n_layers)]),
            architecture="MarianEncoder",
        ),
        decoder=Stack([block(c.n_decoder_heads, c.d_decoder_ff, decodes=True) for _ in range(c.n_decoder_layers)]),
        decoder_embedding=None if c.share_embeddings else embedding(c.decoder_vocab_size),
        head=None if c.tie_embeddings else Linear(c.d_model, c.decoder_vocab_size, bias=False),
        logits_bias=nn.Parameter(torch.zeros(c.decoder_vocab_size)),
        architecture="MarianMTModel",
    )
    init_normal(model, c.init_std)
    return model
