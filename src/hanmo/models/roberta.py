"""RoBERTa (Liu et al., 2019), XLM-R (Conneau et al., 2020) being the same with another vocabulary: BERT's stack without
next sentences, whose positions count real tokens only."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from hanmo.models.bert import BertConfig, bert_encoder
from hanmo.models.encoder import Encoder
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import MaskedLMHead, MaskedLMScores, RowClassifier, SpanHead, TokenClassifier, first_token
from hanmo.nn.init import init_normal

__all__ = ["SIZES", "RobertaConfig", "XLMRobertaConfig", "roberta", "roberta_encoder"]


class RobertaConfig(BertConfig):
    """Shape and constants of a RoBERTa."""

    vocab_size: int = Field(50265, gt=0)
    """Tokens that the tokenizer knows."""
    n_segments: int = Field(1, gt=0)
    """Kinds of segments (`token_type_ids`)."""
    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance in LayerNorm."""
    pad_id: int | None = Field(1, ge=0)
    """Token that fills up rows, and the last position that no token takes. Not None."""

    @model_validator(mode="after")
    def _check_positions(self) -> Self:
        if self.pad_id is None:
            raise ValueError("pad_id is needed: positions count from it")
        return self


class XLMRobertaConfig(RobertaConfig):
    """Shape and constants of an XLM-R."""

    vocab_size: int = Field(250002, gt=0)
    """Tokens that the tokenizer knows."""


SIZES: dict[str, dict[str, Any]] = {
    "roberta-base": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "roberta-large": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "xlm-roberta-base": {"vocab_size": 250002, "n_layers": 12, "d_model": 768, "n_heads": 12},
    "xlm-roberta-large": {"vocab_size": 250002, "n_layers": 24, "d_model": 1024, "n_heads": 16},
}


def roberta_encoder(config: RobertaConfig, *, pooler: bool = True, architecture: str = "RobertaModel") -> Encoder:
    """Assemble the stack with fresh weights."""
    return bert_encoder(config, pooler=pooler, count_from_pad=True, architecture=architecture)


def roberta(config: RobertaConfig, architecture: str = "RobertaForMaskedLM") -> HeadedModel:
    """Assemble a RoBERTa with the head of this name (see `hanmo.models.weights.roberta`) and fresh weights."""
    c = config
    dropout = c.dropout if c.dropout_head is None else c.dropout_head
    match architecture.partition("For")[2]:
        case "MaskedLM":
            # GELU whatever the layers have
            head = MaskedLMHead(
                MaskedLMScores(
                    c.d_model, c.d_model, c.vocab_size,
                    activation="gelu", norm_eps=c.norm_eps, tied=c.tie_embeddings,
                )
            )  # fmt: skip
        case "SequenceClassification":
            head = RowClassifier(
                c.d_model, c.n_labels, pool=first_token, dense=True, dropout=dropout, problem_type=c.problem_type
            )
        case "TokenClassification":
            head = TokenClassifier(c.d_model, c.n_labels, dropout=dropout)
        case "QuestionAnswering":
            head = SpanHead(c.d_model)
        case _:
            raise AssertionError(architecture)
    init_normal(head, c.init_std)
    return HeadedModel(c, backbone=roberta_encoder(c, pooler=False), head=head, architecture=architecture)
