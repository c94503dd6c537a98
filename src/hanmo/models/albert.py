"""ALBERT (Lan et al., 2020): BERT with small token vectors projected to the width of the layers, which share their
weights, and the order of two sentences in place of next sentences."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from hanmo.models.checks import check_activation, check_heads, check_pad
from hanmo.models.encoder import Encoder
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import MaskedLMHead, MaskedLMScores, PretrainingHead, RowClassifier, SpanHead, TokenClassifier
from hanmo.models.settings import HeadSettings
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PostNorm
from hanmo.nn.embedding import SegmentEmbedding
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.norms import LayerNorm
from hanmo.nn.outputs import SentenceOrderOutput
from hanmo.nn.pooling import FirstTokenPooler
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "AlbertConfig", "albert", "albert_encoder"]


class AlbertConfig(HeadSettings):
    """Shape and constants of an ALBERT."""

    vocab_size: int = Field(30000, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(512, gt=0)
    """Longest text, in tokens: how many positions are learned."""
    d_embedding: int = Field(128, gt=0)
    """Width of the vectors of tokens, positions and segments."""
    d_model: int = Field(768, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(12, gt=0, le=4096)
    """Depth, in groups of blocks that are run."""
    n_groups: int = Field(1, gt=0)
    """Groups of blocks with weights of their own; neighbouring depths share one."""
    n_inner: int = Field(1, gt=0, le=4096)
    """Blocks in a group."""
    n_heads: int = Field(12, gt=0)
    """Attention heads; must divide d_model."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    n_segments: int = Field(2, gt=0)
    """Kinds of segments (`token_type_ids`)."""
    activation: str = "gelu_tanh"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of the embeddings or of an attention's output in training."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    dropout_head: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element before a classifier."""
    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance in LayerNorm."""
    tie_embeddings: bool = True
    """Use the token embedding as output matrix of the masked language model too."""
    init_std: float = Field(0.02, gt=0)
    """Standard deviation of the weights at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = Field(0, ge=0)
    """Token that fills up rows."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_heads(self.d_model, self.n_heads)
        check_activation(self.activation)
        check_pad(self.pad_id, self.vocab_size)
        if self.n_groups > self.n_layers:
            raise ValueError(f"n_groups {self.n_groups} is more than n_layers {self.n_layers}; some would never run")
        return self

    @property
    def order(self) -> list[int]:
        """Which of the n_groups x n_inner blocks runs, at each of the n_layers x n_inner depths."""
        # in floats, as `transformers` has it: for some shapes whole numbers would divide otherwise
        groups = [int(depth / (self.n_layers / self.n_groups)) for depth in range(self.n_layers)]
        return [group * self.n_inner + inner for group in groups for inner in range(self.n_inner)]


SIZES: dict[str, dict[str, Any]] = {
    "albert-base": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "albert-large": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "albert-xlarge": {"n_layers": 24, "d_model": 2048, "n_heads": 16},
    "albert-xxlarge": {"n_layers": 12, "d_model": 4096, "n_heads": 64},
}


def albert_encoder(config: AlbertConfig, *, pooler: bool = True, architecture: str = "AlbertModel") -> Encoder:
    """Assemble the stack with fresh weights.

    Args:
        config: shape and constants.
        pooler: whether the first token is summarised.
        architecture: what `transformers` calls it.
    """
    c = config

    def norm() -> LayerNorm:
        return LayerNorm(c.d_model, eps=c.norm_eps)

    def block() -> Block:
        attention = SelfAttention(c.d_model, c.n_heads, dropout=c.dropout_attention)
        feedforward = FeedForward(c.d_model, c.d_ff, activation=c.activation)
        return Block(
            attention=PostNorm(attention, norm(), dropout=c.dropout), feedforward=PostNorm(feedforward, norm())
        )

    encoder = Encoder(
        c,
        embedding=SegmentEmbedding(
            c.vocab_size, c.d_embedding, max_len=c.max_len, n_segments=c.n_segments, norm_eps=c.norm_eps,
            dropout=c.dropout, pad_id=c.pad_id, d_model=c.d_model,
        ),
        stack=Stack([block() for _ in range(c.n_groups * c.n_inner)], order=c.order),
        pooler=FirstTokenPooler(c.d_model) if pooler else None,
        architecture=architecture,
    )  # fmt: skip
    init_normal(encoder, c.init_std)
    return encoder


def albert(config: AlbertConfig, architecture: str = "AlbertForMaskedLM") -> HeadedModel:
    """Assemble an ALBERT with the head of this name (see `hanmo.models.weights.albert`) and fresh weights."""
    c = config

    def scores() -> MaskedLMScores:
        return MaskedLMScores(
            c.d_model, c.d_embedding, c.vocab_size,
            activation=c.activation, norm_eps=c.norm_eps, tied=c.tie_embeddings,
        )  # fmt: skip

    match architecture:
        case "AlbertForPreTraining":
            head = PretrainingHead(scores(), c.d_model, dropout=c.dropout_head, output=SentenceOrderOutput)
        case "AlbertForMaskedLM":
            head = MaskedLMHead(scores())
        case "AlbertForSequenceClassification":
            head = RowClassifier(c.d_model, c.n_labels, dropout=c.dropout_head, problem_type=c.problem_type)
        case "AlbertForTokenClassification":
            head = TokenClassifier(c.d_model, c.n_labels, dropout=c.dropout_head)
        case "AlbertForQuestionAnswering":
            head = SpanHead(c.d_model)
        case _:
            raise AssertionError(architecture)
    init_normal(head, c.init_std)
    pooled = ("AlbertForPreTraining", "AlbertForSequenceClassification")
    return HeadedModel(
        c, backbone=albert_encoder(c, pooler=architecture in pooled), head=head, architecture=architecture
    )
