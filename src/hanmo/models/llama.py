"""Llama (Touvron et al., 2023): rotary positions, RMSNorm before each sublayer, SwiGLU, grouped key/value heads."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from hanmo.core.settings import Settings
from hanmo.models.causal_lm import CausalLM
from hanmo.models.checks import check_activation, check_heads
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import GatedFeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Linear
from hanmo.nn.norms import RMSNorm
from hanmo.nn.positions import Rotary
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "LlamaConfig", "llama"]


def _gated_width(d_model: int) -> int:
    """2/3 of 4 d_model, so that three matrices weigh what two did (Shazeer, 2020, §2), rounded up to 64."""
    return -(-8 * d_model // (3 * 64)) * 64


class LlamaConfig(Settings):
    """Shape and constants of a Llama."""

    vocab_size: int = Field(32000, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(2048, gt=0)
    """Longest text that it was trained for, in tokens."""
    d_model: int = Field(4096, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(32, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(32, gt=0)
    """Query heads; must divide d_model."""
    n_kv_heads: int = Field(default_factory=lambda data: data["n_heads"], gt=0)
    """Key/value heads; must divide n_heads. As many as query heads unless given."""
    d_head: int = Field(default_factory=lambda data: data["d_model"] // data["n_heads"], gt=0)
    """Width of a head, even; d_model / n_heads unless given."""
    d_ff: int = Field(default_factory=lambda data: _gated_width(data["d_model"]), gt=0)
    """Width inside the feed-forward layer; 8/3 d_model rounded up to 64 unless given."""
    activation: str = "silu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    rope_base: float = Field(10_000.0, gt=0)
    """Base of the rotary wavelengths ("theta")."""
    attention_bias: bool = False
    """Biases in the four projections of attention."""
    mlp_bias: bool = False
    """Biases in the feed-forward layer."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    norm_eps: float = Field(1e-6, gt=0)
    """Added to the mean square in RMSNorm."""
    tie_embeddings: bool = False
    """Use the token embedding as output matrix too."""
    init_std: float = Field(0.02, gt=0)
    """Standard deviation of the weights at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = None
    """Token that fills up rows."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_heads(self.d_model, self.n_heads, self.n_kv_heads)
        check_activation(self.activation)
        if self.d_head % 2:
            raise ValueError(f"d_head {self.d_head} is odd; rotary positions need pairs")
        return self


SIZES: dict[str, dict[str, Any]] = {
    "llama-2-7b": {"n_layers": 32, "d_model": 4096, "n_heads": 32, "d_ff": 11008, "max_len": 4096, "norm_eps": 1e-5},
    "llama-2-13b": {"n_layers": 40, "d_model": 5120, "n_heads": 40, "d_ff": 13824, "max_len": 4096, "norm_eps": 1e-5},
    "llama-3-8b": {
        "vocab_size": 128256,
        "n_layers": 32,
        "d_model": 4096,
        "n_heads": 32,
        "n_kv_heads": 8,
        "d_ff": 14336,
        "max_len": 8192,
        "norm_eps": 1e-5,
        "rope_base": 500_000.0,
        "bos_id": 128000,
        "eos_id": 128001,
    },
}


def llama(config: LlamaConfig) -> CausalLM:
    """Assemble a Llama with fresh weights."""
    c = config

    def norm() -> RMSNorm:
        return RMSNorm(c.d_model, eps=c.norm_eps)

    def block() -> Block:
        attention = SelfAttention(
            c.d_model,
            c.n_heads,
            n_kv_heads=c.n_kv_heads,
            d_head=c.d_head,
            bias=c.attention_bias,
            dropout=c.dropout_attention,
        )
        feedforward = GatedFeedForward(c.d_model, c.d_ff, activation=c.activation, bias=c.mlp_bias)
        return Block(attention=PreNorm(attention, norm()), feedforward=PreNorm(feedforward, norm()))

    model = CausalLM(
        c,
        embedding=Embedding(c.vocab_size, c.d_model),
        stack=Stack([block() for _ in range(c.n_layers)], norm=norm()),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
        architecture="LlamaForCausalLM",
        rotary=Rotary(c.d_head, c.rope_base),
    )
    init_normal(model, c.init_std)
    return model
