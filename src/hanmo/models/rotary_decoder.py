"""What Llama, Mistral and Qwen share: rotary positions, RMSNorm before each sublayer, a gated feed-forward layer,
grouped key/value heads. Each of those families is a few choices on top."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from hanmo.models.causal_lm import CausalLM
from hanmo.models.checks import check_activation
from hanmo.models.patterns import PatternSettings, check_patterns
from hanmo.models.settings import DecoderHeadSettings
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import GatedFeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Linear
from hanmo.nn.norms import RMSNorm
from hanmo.nn.positions import Rotary
from hanmo.nn.rope_scaling import DynamicScaling, RopeScaling
from hanmo.nn.stack import Stack

__all__ = ["RotaryDecoderConfig", "rotary_decoder"]


def _gated_width(d_model: int) -> int:
    """2/3 of 4 d_model, so that three matrices weigh what two did (Shazeer, 2020, §2), rounded up to 64."""
    return -(-8 * d_model // (3 * 64)) * 64


class RotaryDecoderConfig(DecoderHeadSettings, PatternSettings):
    """Shape and constants that these families have in common."""

    vocab_size: int = Field(32000, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(2048, gt=0)
    """Longest text that it was trained for, in tokens; with `rope_scaling`, that it is to be used for."""
    d_model: int = Field(4096, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(32, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(32, gt=0)
    """Query heads."""
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
    rope_scaling: RopeScaling | None = None
    """How the wavelengths are stretched for texts longer than those of training, if they are."""
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
    def _check_shape(self) -> Self:
        check_activation(self.activation)
        check_patterns(self.attention, self.n_layers)
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads {self.n_heads} is not a multiple of n_kv_heads {self.n_kv_heads}")
        if not self.d_head:
            raise ValueError(f"d_model {self.d_model} is less than n_heads {self.n_heads}; give d_head")
        if self.d_head % 2:
            raise ValueError(f"d_head {self.d_head} is odd; rotary positions need pairs")
        if isinstance(self.rope_scaling, DynamicScaling) and self.rope_scaling.original_len != self.max_len:
            raise ValueError(
                f"rope_scaling.original_len {self.rope_scaling.original_len} is not max_len {self.max_len}; "
                "the dynamic kind grows from there"
            )
        return self


def rotary_decoder(
    config: RotaryDecoderConfig,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    mlp_bias: bool = False,
    qk_norm: bool = False,
    architecture: str,
) -> CausalLM:
    """Assemble a decoder with fresh weights.

    Args:
        config: shape and constants.
        qkv_bias: biases in the projections to queries, keys and values.
        out_bias: a bias in the projection back.
        mlp_bias: biases in the feed-forward layer.
        qk_norm: normalise each query and key over its head.
        architecture: what `transformers` calls it.
    """
    c = config

    def norm() -> RMSNorm:
        return RMSNorm(c.d_model, eps=c.norm_eps)

    def block(depth: int) -> Block:
        attention = SelfAttention(
            c.d_model,
            c.n_heads,
            n_kv_heads=c.n_kv_heads,
            d_head=c.d_head,
            bias=qkv_bias,
            out_bias=out_bias,
            dropout=c.dropout_attention,
            qk_norm_eps=c.norm_eps if qk_norm else None,
            pattern=c.pattern(depth),
        )
        feedforward = GatedFeedForward(c.d_model, c.d_ff, activation=c.activation, bias=mlp_bias)
        return Block(attention=PreNorm(attention, norm()), feedforward=PreNorm(feedforward, norm()))

    model = CausalLM(
        c,
        embedding=Embedding(c.vocab_size, c.d_model),
        stack=Stack([block(depth) for depth in range(c.n_layers)], norm=norm()),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
        architecture=architecture,
        rotary=Rotary(c.d_head, c.rope_base, c.rope_scaling),
    )
    init_normal(model, c.init_std)
    return model
