"""A bidirectional LSTM as encoder, with heads for rows, tokens and spans; with a CRF it is the tagger of Huang et al. (2015)
and Lample et al. (2016)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from hanmo.models.crf_head import CrfHead
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import Encoded, RowClassifier, SpanHead, TokenClassifier
from hanmo.models.word_encoder import WordEncoder, WordEncoderConfig, word_encoder
from hanmo.nn.init import init_normal
from hanmo.nn.label_schemes import LabelScheme
from hanmo.nn.pooling import pool_mean
from hanmo.nn.recurrent import BiLSTM

__all__ = ["SIZES", "BiLSTMConfig", "bilstm", "bilstm_encoder"]


class BiLSTMConfig(WordEncoderConfig):
    """Shape and constants of a bidirectional LSTM."""

    d_hidden: int = Field(100, gt=0)
    """Width of each direction: the encoder's vectors are twice as wide."""
    n_layers: int = Field(1, gt=0, le=4096)
    """Number of layers."""
    scheme: LabelScheme | None = None
    """How spans are written, for a CRF; by the names of the labels if None."""

    @property
    def d_model(self) -> int:
        """Width of the encoder's vectors."""
        return 2 * self.d_hidden


SIZES: dict[str, dict[str, Any]] = {
    "lample": {"d_embedding": 100, "d_hidden": 100, "dropout": 0.5},
    "cluener": {"d_embedding": 128, "d_hidden": 192, "n_layers": 2, "dropout": 0.5},
}


def bilstm_encoder(config: BiLSTMConfig) -> WordEncoder:
    """Assemble the encoder with fresh weights."""
    c = config
    return word_encoder(c, BiLSTM(c.d_word, c.d_hidden, c.n_layers, dropout=c.dropout), "BiLSTMModel")


def bilstm(config: BiLSTMConfig, architecture: str = "BiLSTMCrfForTokenClassification") -> HeadedModel:
    """Assemble encoder and head of this name (see `hanmo.models.weights.bilstm`) with fresh weights."""
    c = config
    dropout = c.dropout if c.dropout_head is None else c.dropout_head

    def head() -> nn.Module:
        match architecture:
            case "BiLSTMForSequenceClassification":
                return RowClassifier(c.d_model, c.n_labels, pool=_mean, dropout=dropout, problem_type=c.problem_type)
            case "BiLSTMForTokenClassification":
                return TokenClassifier(c.d_model, c.n_labels, dropout=dropout)
            case "BiLSTMForQuestionAnswering":
                return SpanHead(c.d_model)
            case "BiLSTMCrfForTokenClassification":
                return CrfHead(c.d_model, c.labels, scheme=c.scheme, dropout=dropout)
            case _:
                raise AssertionError(architecture)

    model = HeadedModel(c, backbone=bilstm_encoder(c), head=head(), architecture=architecture)
    init_normal(model.head, c.init_std)
    return model


def _mean(encoded: Encoded) -> Tensor:
    return pool_mean(encoded.output.last_hidden_state, encoded.attention_mask)
