"""T5 (Raffel et al., 2020) and mT5 (Xue et al., 2021): relative position bias, RMSNorm before each sublayer, no biases,
scores that are not scaled; 1.1 and mT5 with a gated feed-forward layer (Shazeer, 2020)."""

from __future__ import annotations

from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from hanmo.core.settings import Settings
from hanmo.models.checks import check_activation, check_pad
from hanmo.models.seq2seq import Seq2SeqLM, SourceEncoder, start_token
from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import FeedForward, GatedFeedForward
from hanmo.nn.linear import Linear
from hanmo.nn.norms import RMSNorm
from hanmo.nn.relative_bias import RelativeBias
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "MT5Config", "T5Config", "t5", "t5_encoder"]


class T5Config(Settings):
    """Shape and constants of a T5."""

    vocab_size: int = Field(32128, gt=0)
    """Tokens that the tokenizer knows."""
    d_model: int = Field(512, gt=0)
    """Width of the residual stream."""
    d_head: int = Field(64, gt=0)
    """Width of a head; need not be d_model / n_heads."""
    n_heads: int = Field(8, gt=0)
    """Attention heads."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    n_layers: int = Field(6, gt=0, le=4096)
    """Number of the encoder's blocks."""
    n_decoder_layers: int = Field(default_factory=lambda data: data["n_layers"], gt=0, le=4096)
    """Number of the decoder's blocks; as many unless given."""
    n_buckets: int = Field(32, ge=4)
    """Kinds of distances that have a bias of their own."""
    max_distance: int = Field(128, gt=0)
    """From here on all distances share a bias."""
    activation: str = "relu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    gated: bool = False
    """Whether the feed-forward layer is gated."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element in training: embeddings, attention weights, inside the feed-forward layer,
    outputs of sublayers and stacks."""
    norm_eps: float = Field(1e-6, gt=0)
    """Added to the mean square in RMSNorm."""
    tie_embeddings: bool = True
    """Use the token embedding as output matrix too."""
    scale_outputs: bool = Field(default_factory=lambda data: data["tie_embeddings"])
    """Multiply the decoder's output by 1/√d_model before the output matrix; where that is tied unless given."""
    init_factor: float = Field(1.0, gt=0)
    """Multiplies the standard deviations of all weights at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = 1
    """Token or tokens that end a text."""
    pad_id: int | None = Field(0, ge=0)
    """Token that fills up rows."""
    decoder_start_id: int | None = Field(0, ge=0)
    """Token that the decoder starts from."""

    @property
    def init_std(self) -> float:
        """Standard deviation of an output matrix at the start."""
        return self.init_factor / self.d_model

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_activation(self.activation)
        check_pad(self.pad_id, self.vocab_size)
        if self.decoder_start_id is not None and self.decoder_start_id >= self.vocab_size:
            raise ValueError(f"decoder_start_id {self.decoder_start_id} is outside the vocabulary")
        if self.gated and self.activation == "gelu":
            raise ValueError("a gated layer with the exact GELU has no name in public files: take gelu_tanh")
        return self

    @property
    def start_id(self) -> int:
        """Token that the decoder starts from.

        Raises:
            ConfigError: if there is none.
        """
        return start_token(self.decoder_start_id)

    @property
    def max_len(self) -> None:
        """Distances have no end, and so texts have no longest length."""
        return None

    @property
    def n_decoder_heads(self) -> int:
        """Attention heads of the decoder."""
        return self.n_heads

    @property
    def d_decoder_head(self) -> int:
        """Width of the decoder's heads."""
        return self.d_head


class MT5Config(T5Config):
    """Shape and constants of an mT5: a T5 1.1 for a hundred languages."""

    vocab_size: int = Field(250112, gt=0)
    """As in T5."""
    n_layers: int = Field(8, gt=0, le=4096)
    """As in T5."""
    n_heads: int = Field(6, gt=0)
    """As in T5."""
    activation: str = "gelu_tanh"
    """As in T5."""
    gated: bool = True
    """As in T5."""
    tie_embeddings: bool = False
    """As in T5."""
    scale_outputs: bool = False
    """Never here."""

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        if self.scale_outputs:
            raise ValueError("mT5 does not scale its outputs")
        return self


SIZES: dict[str, dict[str, Any]] = {
    "t5-small": {"n_layers": 6, "d_model": 512, "n_heads": 8, "d_ff": 2048},
    "t5-base": {"n_layers": 12, "d_model": 768, "n_heads": 12, "d_ff": 3072},
    "t5-large": {"n_layers": 24, "d_model": 1024, "n_heads": 16, "d_ff": 4096},
    "t5-1.1-small": {"n_layers": 8, "d_model": 512, "n_heads": 6, "d_ff": 1024, "activation": "gelu_tanh", "gated": True, "tie_embeddings": False},
    "t5-1.1-base": {"n_layers": 12, "d_model": 768, "n_heads": 12, "d_ff": 2048, "activation": "gelu_tanh", "gated": True, "tie_embeddings": False},
    "t5-1.1-large": {"n_layers": 24, "d_model": 1024, "n_heads": 16, "d_ff": 2816, "activation": "gelu_tanh", "gated": True, "tie_embeddings": False},
}  # fmt: skip


def t5_encoder(config: T5Config, architecture: str = "T5EncoderModel") -> SourceEncoder:
    """Assemble the encoder alone with fresh weights."""
    c = config
    encoder = SourceEncoder(
        c,
        embedding=Embedding(c.vocab_size, c.d_model, dropout=c.dropout),
        stack=_stack(c, c.n_layers, decodes=False),
        bias=RelativeBias(c.n_buckets, c.n_heads, max_distance=c.max_distance, both_ways=True),
        architecture=architecture,
    )
    _init(encoder, c)
    return encoder


def t5(config: T5Config, architecture: str = "T5ForConditionalGeneration") -> Seq2SeqLM:
    """Assemble a T5 or mT5 with fresh weights."""
    c = config
    model = Seq2SeqLM(
        c,
        encoder=t5_encoder(c, architecture.replace("ForConditionalGeneration", "EncoderModel")),
        decoder=_stack(c, c.n_decoder_layers, decodes=True),
        decoder_bias=RelativeBias(c.n_buckets, c.n_heads, max_distance=c.max_distance, both_ways=False),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
        scale=c.d_model**-0.5 if c.scale_outputs else 1.0,
        architecture=architecture,
    )
    _init(model, c)
    return model


def _stack(c: T5Config, n_layers: int, *, decodes: bool) -> Stack:
    def within(inner: nn.Module) -> PreNorm:
        return PreNorm(inner, RMSNorm(c.d_model, eps=c.norm_eps), dropout=c.dropout)

    def block() -> Block:
        attention = SelfAttention(c.d_model, c.n_heads, d_head=c.d_head, bias=False, scale=1.0, dropout=c.dropout)
        cross = CrossAttention(c.d_model, c.n_heads, d_head=c.d_head, bias=False, scale=1.0, dropout=c.dropout)
        kind = GatedFeedForward if c.gated else FeedForward
        feedforward = kind(c.d_model, c.d_ff, activation=c.activation, bias=False, dropout=c.dropout)
        return Block(
            attention=within(attention),
            cross_attention=within(cross) if decodes else None,
            feedforward=within(feedforward),
        )

    norm = RMSNorm(c.d_model, eps=c.norm_eps)
    return Stack([block() for _ in range(n_layers)], norm=norm, dropout=c.dropout)


def _init(model: nn.Module, c: T5Config) -> None:
    """Each matrix by the width it reads from, queries smaller by √d_head, which stands for the scale of the scores
    (Shazeer & Stern, 2018, as the first T5 code has it). Token vectors that are also the output matrix, and an output
    matrix of its own, are small enough for a first guess that is nearly even. Nothing on the meta device."""
    if any(parameter.is_meta for parameter in model.parameters()):
        return
    wide = c.init_factor * c.d_model**-0.5
    for part in model.modules():
        if isinstance(part, SelfAttention):
            q, k, v = part.qkv.weight.split(part.qkv.parts)
            _draw((q, wide * c.d_head**-0.5), (k, wide), (v, wide))
        elif isinstance(part, CrossAttention):
            _draw((part.q.weight, wide * c.d_head**-0.5), (part.kv.weight, wide))
        elif isinstance(part, RelativeBias):
            _draw((part.weight, wide))
        elif isinstance(part, GatedFeedForward):
            _draw((part.gate_up.weight, wide))
        elif isinstance(part, FeedForward):
            _draw((part.up.weight, wide))
        elif isinstance(part, Embedding):
            _draw((part.token.weight, wide if c.tie_embeddings else c.init_factor))
        if isinstance(part, (SelfAttention, CrossAttention, FeedForward, GatedFeedForward)):
            _draw((part.out.weight, c.init_factor * part.out.in_features**-0.5))
    if isinstance(model, Seq2SeqLM) and model.head is not None:
        _draw((model.head.weight, c.init_std))


def _draw(*matrices: tuple[torch.Tensor, float]) -> None:
    for matrix, std in matrices:
        nn.init.normal_(matrix.detach(), std=std)
