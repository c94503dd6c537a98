"""XLNet (Yang et al., 2019): a text is read in any order, with relative distances and a memory of the segment before."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from hanmo.models.checks import check_activation, check_heads
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import LinearLMHead, RowClassifier, SpanHead, TokenClassifier
from hanmo.models.settings import HeadSettings
from hanmo.models.summary import SequenceSummary
from hanmo.models.two_stream import TwoStreamEncoder
from hanmo.nn.block import PostNorm
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.init import init_normal
from hanmo.nn.norms import LayerNorm
from hanmo.nn.two_stream import RelativeAttention, TwoStreamBlock, TwoStreamStack, init_relative

__all__ = ["SIZES", "XLNetConfig", "xlnet", "xlnet_encoder"]


class XLNetConfig(HeadSettings):
    """Shape and constants of an XLNet."""

    vocab_size: int = Field(32000, gt=0)
    """Tokens that the tokenizer knows."""
    d_model: int = Field(1024, gt=0)
    """Width of the residual stream; even."""
    n_layers: int = Field(24, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(16, gt=0)
    """Attention heads; must divide d_model."""
    d_head: int = Field(default_factory=lambda data: data["d_model"] // data["n_heads"], gt=0)
    """Width of a head: d_model / n_heads, the only value that works."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    activation: str = "gelu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    direction: Literal["bi", "uni"] = "bi"
    """Whether a position may look at later ones ("bi"), or only back ("uni", as in Transformer-XL)."""
    same_length: bool = False
    """With "uni": every position looks back equally far."""
    mirrored_halves: bool = False
    """Whether the second half of a batch holds the texts of the first half from right to left (pretraining)."""
    clamp_len: int = -1
    """Distances beyond this many positions count as this; no limit if not positive."""
    mem_len: int = Field(0, ge=0)
    """Positions that are remembered at most; 0 for all."""
    reuse_len: int = Field(0, ge=0)
    """How many positions of a segment, counted from its start, are remembered; 0 for all."""
    use_mems_eval: bool = True
    """Return memory in evaluation, unless told otherwise."""
    use_mems_train: bool = False
    """Return memory in training, unless told otherwise."""
    summary: Literal["last", "first", "mean", "cls_index"] = "last"
    """Which vector stands for a row in classification ("cls_index" is the last one, too)."""
    summary_dense: bool = True
    """Whether it goes through a matrix first."""
    summary_activation: Literal["tanh", ""] = "tanh"
    """What follows the matrix; nothing if empty."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of embeddings, distances, attention weights and sublayers in training."""
    dropout_head: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element before a classifier of rows."""
    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance in LayerNorm."""
    tie_embeddings: bool = True
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
        check_heads(self.d_model, self.n_heads)
        check_activation(self.activation)
        if self.d_head * self.n_heads != self.d_model:
            raise ValueError(f"d_head {self.d_head} is not d_model {self.d_model} / n_heads {self.n_heads}")
        if self.d_model % 2:
            raise ValueError(f"d_model {self.d_model} is odd; distances are told in sines and cosines")
        return self


SIZES: dict[str, dict[str, Any]] = {
    "xlnet-base-cased": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "xlnet-large-cased": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "chinese-xlnet-base": {"n_layers": 12, "d_model": 768, "n_heads": 12, "activation": "relu"},
    "chinese-xlnet-mid": {"n_layers": 24, "d_model": 768, "n_heads": 12, "activation": "relu"},
}


def xlnet_encoder(config: XLNetConfig, *, architecture: str = "XLNetModel") -> TwoStreamEncoder:
    """Assemble the stack with fresh weights; `architecture` is what `transformers` calls it."""
    c = config

    def around(inner: nn.Module) -> PostNorm:
        return PostNorm(inner, LayerNorm(c.d_model, eps=c.norm_eps), dropout=c.dropout)

    def block() -> TwoStreamBlock:
        return TwoStreamBlock(
            attention=around(RelativeAttention(c.d_model, c.n_heads, dropout=c.dropout)),
            feedforward=around(FeedForward(c.d_model, c.d_ff, activation=c.activation, dropout=c.dropout)),
        )

    encoder = TwoStreamEncoder(c, stack=TwoStreamStack([block() for _ in range(c.n_layers)]), architecture=architecture)
    init_normal(encoder, c.init_std)
    init_relative(encoder, c.init_std)
    if not encoder.target.is_meta:
        nn.init.normal_(encoder.target, std=c.init_std)
    return encoder


def xlnet(config: XLNetConfig, architecture: str = "XLNetLMHeadModel") -> HeadedModel:
    """Assemble an XLNet with the head of this name (see `hanmo.models.weights.xlnet`) and fresh weights."""
    c = config

    def head() -> nn.Module:
        match architecture:
            case "XLNetLMHeadModel":
                return LinearLMHead(c.d_model, c.vocab_size, tied=c.tie_embeddings)
            case "XLNetForSequenceClassification":
                summary = SequenceSummary(
                    c.d_model, kind=c.summary, dense=c.summary_dense, tanh=c.summary_activation == "tanh"
                )
                return RowClassifier(
                    c.d_model, c.n_labels, pool=summary, dropout=c.dropout_head, problem_type=c.problem_type
                )
            case "XLNetForTokenClassification":
                return TokenClassifier(c.d_model, c.n_labels)
            case "XLNetForQuestionAnsweringSimple":
                return SpanHead(c.d_model)
            case _:
                raise AssertionError(architecture)

    model = HeadedModel(c, backbone=xlnet_encoder(c), head=head(), architecture=architecture)
    init_normal(model.head, c.init_std)
    return model
