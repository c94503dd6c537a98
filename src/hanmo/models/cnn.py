"""Convolutions over word vectors, pooled over the text (Kim, 2014); without convolutions, a bag of words (Joulin et al.,
2017, without its n-grams). The small encoders to beat before a Transformer is worth its price."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from hanmo.models.headed import HeadedModel
from hanmo.models.heads import Encoded, RowClassifier, TokenClassifier
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.models.settings import HeadSettings
from hanmo.nn.convolution import TextConvolution
from hanmo.nn.embedding import Embedding
from hanmo.nn.init import init_normal
from hanmo.nn.outputs import EncoderOutput
from hanmo.nn.pooling import POOLINGS

__all__ = ["SIZES", "CNNConfig", "CNNEncoder", "cnn", "cnn_encoder"]


class CNNConfig(HeadSettings):
    """Shape and constants of a convolutional encoder."""

    vocab_size: int = Field(10_000, gt=0)
    """Tokens that the tokenizer knows."""
    d_embedding: int = Field(100, gt=0)
    """Width of token vectors."""
    d_filters: int = Field(100, gt=0)
    """Filters of each width."""
    widths: tuple[int, ...] = (3, 4, 5)
    """Tokens that the filters see; none for a bag of words."""
    pool: Literal["max", "mean"] = "max"
    """How the vectors of a text become one, under a head for rows."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of token vectors in training."""
    dropout_head: float | None = Field(None, ge=0, lt=1)
    """Probability of dropping an element before a head; `dropout` if None."""
    init_std: float = Field(0.1, gt=0)
    """Standard deviation of token vectors and heads at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = 0
    """Token that fills up rows."""

    @field_validator("widths")
    @classmethod
    def _widths_see_something(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= width <= 64 for width in widths):
            raise ValueError(f"widths {widths} are not all between 1 and 64")
        return widths

    @property
    def d_model(self) -> int:
        """Width of the encoder's vectors."""
        return self.d_filters * len(self.widths) or self.d_embedding


SIZES: dict[str, dict[str, Any]] = {
    "kim": {"d_embedding": 300, "d_filters": 100, "widths": (3, 4, 5), "dropout_head": 0.5},
    "bag": {"d_embedding": 100, "widths": (), "pool": "mean"},
}


class CNNEncoder(nn.Module):
    """Vectors of tokens that have seen their neighbours. B batch, T positions, E d_embedding, D d_model."""

    def __init__(self, config: CNNConfig, *, embedding: Embedding, layers: TextConvolution | None):
        """`config`: the settings that it was built from."""
        super().__init__()
        self.config = config
        self.architecture = "CNNModel"
        self.embedding = embedding
        self.layers = layers

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, E)."""
        return self.embedding.token.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for real tokens.
            inputs_embeds: token vectors (B, T, E) in place of ids.
            output_hidden_states: also return token vectors and output.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        one_input(input_ids, inputs_embeds)
        vectors = self.embedding(input_ids, inputs_embeds)
        x = vectors if self.layers is None else self.layers(vectors, attention_mask)
        return EncoderOutput(last_hidden_state=x, hidden_states=(vectors, x) if output_hidden_states else None)


def cnn_encoder(config: CNNConfig) -> CNNEncoder:
    """Assemble the encoder with fresh weights."""
    c = config
    encoder = CNNEncoder(
        c,
        embedding=Embedding(c.vocab_size, c.d_embedding, dropout=c.dropout),
        layers=TextConvolution(c.d_embedding, c.d_filters, c.widths) if c.widths else None,
    )
    init_normal(encoder.embedding, c.init_std)
    return encoder


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
