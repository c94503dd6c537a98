"""GPT-2 (Radford et al., 2019): learned positions, LayerNorm before each sublayer, GELU, biases everywhere."""

from __future__ import annotations

import math
from typing import Any, Self

from pydantic import Field, model_validator

from hanmo.models.causal_lm import CausalLM
from hanmo.models.checks import check_activation, check_heads
from hanmo.models.patterns import PatternSettings, check_patterns
from hanmo.models.settings import DecoderHeadSettings
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.init import init_normal, init_residual_outputs
from hanmo.nn.linear import Linear
from hanmo.nn.norms import LayerNorm
from hanmo.nn.positions import LearnedPositions
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "GPT2Config", "gpt2"]


class GPT2Config(DecoderHeadSettings, PatternSettings):
    """Shape and constants of a GPT-2."""

    vocab_size: int = Field(50257, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(1024, gt=0)
    """Longest text, in tokens: how many positions are learned."""
    d_model: int = Field(768, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(12, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(12, gt=0)
    """Attention heads; must divide d_model."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    activation: str = "gelu_tanh"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    dropout_embedding: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of the embeddings in training."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    dropout_residual: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of a sublayer's output in training."""
    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance in LayerNorm."""
    tie_embeddings: bool = True
    """Use the token embedding as output matrix too."""
    scale_scores: bool = True
    """Divide attention scores by √d_head."""
    scale_scores_by_depth: bool = False
    """Divide attention scores of the i-th layer by i as well (Karamcheti et al., 2021, Mistral)."""
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
        check_heads(self.d_model, self.n_heads)
        check_activation(self.activation)
        check_patterns(self.attention, self.n_layers)
        return self

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.d_model // self.n_heads

    @property
    def n_kv_heads(self) -> int:
        """Key/value heads: as many as query heads."""
        return self.n_heads


SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "gpt2-medium": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "gpt2-large": {"n_layers": 36, "d_model": 1280, "n_heads": 20},
    "gpt2-xl": {"n_layers": 48, "d_model": 1600, "n_heads": 25},
}


def gpt2(config: GPT2Config, *, architecture: str = "GPT2LMHeadModel") -> CausalLM:
    """Assemble a GPT-2 with fresh weights; `architecture` is its name in config.json."""
    c = config

    def norm() -> LayerNorm:
        return LayerNorm(c.d_model, eps=c.norm_eps)

    def block(depth: int) -> Block:
        scale = (1 / math.sqrt(c.d_head) if c.scale_scores else 1.0) / (depth + 1 if c.scale_scores_by_depth else 1)
        attention = SelfAttention(
            c.d_model, c.n_heads, scale=scale, dropout=c.dropout_attention, pattern=c.pattern(depth)
        )
        feedforward = FeedForward(c.d_model, c.d_ff, activation=c.activation)
        return Block(
            attention=PreNorm(attention, norm(), dropout=c.dropout_residual),
            feedforward=PreNorm(feedforward, norm(), dropout=c.dropout_residual),
        )

    positions = LearnedPositions(c.max_len, c.d_model)
    model = CausalLM(
        c,
        embedding=Embedding(c.vocab_size, c.d_model, positions=positions, dropout=c.dropout_embedding),
        stack=Stack([block(depth) for depth in range(c.n_layers)], norm=norm()),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
        architecture=architecture,
    )
    init_normal(model, c.init_std)
    init_residual_outputs(model.stack, c.init_std, 2 * c.n_layers)
    return model
