"""Convolutions over word vectors, pooled over the text (Kim, 2014); without convolutions, a bag of words (Joulin et al.,
2017, without its n-grams). The small encoders to beat before a Transformer is worth its price."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from hanmo.models.headed import HeadedModel
from hanmo.models.heads import Encoded, RowClassifier, TokenClassifier
from hanmo.models.word_encoder import WordEncoder, WordEncoderConfig, word_encoder
from hanmo.nn.convolution import TextConvolution
from hanmo.nn.init import init_normal
from hanmo.nn.pooling import POOLINGS

__all__ = ["SIZES", "CNNConfig", "cnn", "cnn_encoder"]


class CNNConfig(WordEncoderConfig):
    """Shape and constants of a convolutional encoder."""

    d_filters: int = Field(100, gt=0)
    """Filters of each width."""
    widths: tuple[int, ...] = (3, 4, 5)
    """Tokens that the filters see; none for a bag of words."""
    pool: Literal["max", "mean"] = "max"
    """How the vectors of a text become one, under a head for rows."""

    @field_validator("widths")
    @classmethod
    def _widths_see_something(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= width <= 64 for width in widths):
            raise ValueError(f"widths {widths} are not all between 1 and 64")
        return widths

    @property
    def d_model(self) -> int:
        """Width of the encoder's vectors."""
        return self.d_filters * len(self.widths) or self.d_word


SIZES: dict[str, dict[str, Any]] = {
    "kim": {"d_embedding": 300, "d_filters": 100, "widths": (3, 4, 5), "dropout_head": 0.5},
    "bag": {"d_embedding": 100, "widths": (), "pool": "mean"},
}


def cnn_encoder(config: CNNConfig) -> WordEncoder:
    """Assemble the encoder with fresh weights."""
    c = config
    return word_encoder(c, TextConvolution(c.d_word, c.d_filters, c.widths) if c.widths else None, "CNNModel")


def cnn(config: CNNConfig, architecture: str = "CNNForSequenceClassification") -> HeadedModel:
    """Assemble encoder and head of this name (see `hanmo.models.weights.cnn`) with fresh weights."""
    c = config
    dropout = c.dropout if c.dropout_head is None else c.dropout_head

    def pool(encoded: Encoded) -> Tensor:
        return POOLINGS[c.pool](encoded.output.last_hidden_state, encoded.attention_mask)

    def head() -> nn.Module:
        match architecture:
            case "CNNForSequenceClassification":
                return RowClassifier(c.d_model, c.n_labels, pool=pool, dropout=dropout, problem_type=c.problem_type)
            case "CNNForTokenClassification":
                return TokenClassifier(c.d_model, c.n_labels, dropout=dropout)
            case _:
                raise AssertionError(architecture)

    model = HeadedModel(c, backbone=cnn_encoder(c), head=head(), architecture=architecture)
    init_normal(model.head, c.init_std)
    return model
