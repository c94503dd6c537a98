"""BERT (Devlin et al., 2019), mBERT being the same with another vocabulary: learned positions, segments, LayerNorm
after each sublayer, GELU, biases everywhere."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from torch import nn

from hanmo.models.checks import check_activation, check_heads, check_pad
from hanmo.models.crf_head import CrfHead
from hanmo.models.encoder import Encoder
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import (
    MaskedLMHead,
    MaskedLMScores,
    NextSentenceHead,
    PretrainingHead,
    RowClassifier,
    SpanHead,
    TokenClassifier,
)
from hanmo.models.patterns import PatternSettings, check_patterns
from hanmo.models.settings import HeadSettings
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PostNorm
from hanmo.nn.embedding import SegmentEmbedding
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.norms import LayerNorm
from hanmo.nn.pooling import FirstTokenPooler
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "BertConfig", "bert", "bert_encoder"]


class BertConfig(HeadSettings, PatternSettings):
    """Shape and constants of a BERT."""

    vocab_size: int = Field(30522, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(512, gt=0)
    """Longest text, in tokens: how many positions are learned."""
    d_model: int = Field(768, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(12, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(12, gt=0)
    """Attention heads; must divide d_model."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    n_segments: int = Field(2, gt=0)
    """Kinds of segments (`token_type_ids`)."""
    activation: str = "gelu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of the embeddings or of a sublayer's output in training."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    dropout_head: float | None = Field(None, ge=0, lt=1)
    """Probability of dropping an element before a classifier; `dropout` if None."""
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
        check_patterns(self.attention, self.n_layers)
        check_pad(self.pad_id, self.vocab_size)
        return self


SIZES: dict[str, dict[str, Any]] = {
    "bert-base": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "bert-large": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "bert-base-chinese": {"vocab_size": 21128, "n_layers": 12, "d_model": 768, "n_heads": 12},
    "mbert": {"vocab_size": 119547, "n_layers": 12, "d_model": 768, "n_heads": 12},
}


def bert_encoder(
    config: BertConfig, *, pooler: bool = True, count_from_pad: bool = False, architecture: str = "BertModel"
) -> Encoder:
    """Assemble the stack with fresh weights.

    Args:
        config: shape and constants.
        pooler: whether the first token is summarised.
        count_from_pad: positions number only tokens that are not padding, and begin after `pad_id`.
        architecture: what `transformers` calls it.
    """
    c = config

    def norm() -> LayerNorm:
        return LayerNorm(c.d_model, eps=c.norm_eps)

    def block(depth: int) -> Block:
        attention = SelfAttention(c.d_model, c.n_heads, dropout=c.dropout_attention, pattern=c.pattern(depth))
        feedforward = FeedForward(c.d_model, c.d_ff, activation=c.activation)
        return Block(
            attention=PostNorm(attention, norm(), dropout=c.dropout),
            feedforward=PostNorm(feedforward, norm(), dropout=c.dropout),
        )

    encoder = Encoder(
        c,
        embedding=SegmentEmbedding(
            c.vocab_size, c.d_model, max_len=c.max_len, n_segments=c.n_segments, norm_eps=c.norm_eps,
            dropout=c.dropout, pad_id=c.pad_id, count_from_pad=count_from_pad,
        ),
        stack=Stack([block(depth) for depth in range(c.n_layers)]),
        pooler=FirstTokenPooler(c.d_model) if pooler else None,
        architecture=architecture,
    )  # fmt: skip
    init_normal(encoder, c.init_std)
    return encoder


def bert(config: BertConfig, architecture: str = "BertForMaskedLM") -> HeadedModel:
    """Assemble a BERT with the head of this name (see `hanmo.models.weights.bert`) and fresh weights."""
    c = config
    dropout = c.dropout if c.dropout_head is None else c.dropout_head

    def scores() -> MaskedLMScores:
        return MaskedLMScores(
            c.d_model, c.d_model, c.vocab_size, activation=c.activation, norm_eps=c.norm_eps, tied=c.tie_embeddings
        )

    def head() -> nn.Module:
        match architecture:
            case "BertForPreTraining":
                return PretrainingHead(scores(), c.d_model)
            case "BertForMaskedLM":
                return MaskedLMHead(scores())
            case "BertForNextSentencePrediction":
                return NextSentenceHead(c.d_model)
            case "BertForSequenceClassification":
                return RowClassifier(c.d_model, c.n_labels, dropout=dropout, problem_type=c.problem_type)
            case "BertForTokenClassification":
                return TokenClassifier(c.d_model, c.n_labels, dropout=dropout)
            case "BertCrfForTokenClassification":
                return CrfHead(c.d_model, c.labels, dropout=dropout)
            case "BertForQuestionAnswering":
                return SpanHead(c.d_model)
            case _:
                raise AssertionError(architecture)

    pooled = ("BertForPreTraining", "BertForNextSentencePrediction", "BertForSequenceClassification")
    model = HeadedModel(
        c, backbone=bert_encoder(c, pooler=architecture in pooled), head=head(), architecture=architecture
    )
    init_normal(model.head, c.init_std)
    return model
