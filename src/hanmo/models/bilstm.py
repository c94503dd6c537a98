"""A bidirectional LSTM as encoder, with heads for rows and tokens; with a CRF it is the tagger of Huang et al. (2015) and
Lample et al. (2016)."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from hanmo.models.crf_head import CrfHead
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import Encoded, RowClassifier, TokenClassifier
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.models.settings import HeadSettings
from hanmo.nn.embedding import Embedding
from hanmo.nn.init import init_normal
from hanmo.nn.label_schemes import LabelScheme
from hanmo.nn.outputs import EncoderOutput
from hanmo.nn.pooling import pool_mean
from hanmo.nn.recurrent import BiLSTM

__all__ = ["SIZES", "BiLSTMConfig", "BiLSTMEncoder", "bilstm", "bilstm_encoder"]


class BiLSTMConfig(HeadSettings):
    """Shape and constants of a bidirectional LSTM."""

    vocab_size: int = Field(10_000, gt=0)
    """Tokens that the tokenizer knows."""
    d_embedding: int = Field(100, gt=0)
    """Width of token vectors."""
    d_hidden: int = Field(100, gt=0)
    """Width of each direction: the encoder's vectors are twice as wide."""
    n_layers: int = Field(1, gt=0, le=4096)
    """Number of layers."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of token vectors and between layers in training."""
    dropout_head: float | None = Field(None, ge=0, lt=1)
    """Probability of dropping an element before a head; `dropout` if None."""
    scheme: LabelScheme | None = None
    """How spans are written, for a CRF; by the names of the labels if None."""
    init_std: float = Field(0.1, gt=0)
    """Standard deviation of token vectors and heads at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = 0
    """Token that fills up rows."""

    @property
    def d_model(self) -> int:
        """Width of the encoder's vectors."""
        return 2 * self.d_hidden


SIZES: dict[str, dict[str, Any]] = {
    "lample": {"d_embedding": 100, "d_hidden": 100, "dropout": 0.5},
    "cluener": {"d_embedding": 128, "d_hidden": 192, "n_layers": 2, "dropout": 0.5},
}


class BiLSTMEncoder(nn.Module):
    """Vectors of tokens that have seen the text on both sides. B batch, T positions, E d_embedding, D d_model."""

    def __init__(self, config: BiLSTMConfig, *, embedding: Embedding, layers: BiLSTM):
        """`config`: the settings that it was built from."""
        super().__init__()
        self.config = config
        self.architecture = "BiLSTMModel"
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
            attention_mask: (B, T), 1 for real tokens, padding on either side; vectors of padding are zeros.
            inputs_embeds: token vectors (B, T, E) in place of ids.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        one_input(input_ids, inputs_embeds)
        seen: list[Tensor] | None = [] if output_hidden_states else None
        x = self.layers(self.embedding(input_ids, inputs_embeds), attention_mask, seen)
        if seen is not None:
            seen.append(x)
        return EncoderOutput(last_hidden_state=x, hidden_states=tuple(seen) if seen is not None else None)


def bilstm_encoder(config: BiLSTMConfig) -> BiLSTMEncoder:
    """Assemble the encoder with fresh weights."""
    c = config
    encoder = BiLSTMEncoder(
        c,
        embedding=Embedding(c.vocab_size, c.d_embedding, dropout=c.dropout),
        layers=BiLSTM(c.d_embedding, c.d_hidden, c.n_layers, dropout=c.dropout),
    )
    init_normal(encoder.embedding, c.init_std)
    return encoder


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
            case "BiLSTMCrfForTokenClassification":
                return CrfHead(c.d_model, c.labels, scheme=c.scheme, dropout=dropout)
            case _:
                raise AssertionError(architecture)

    model = HeadedModel(c, backbone=bilstm_encoder(c), head=head(), architecture=architecture)
    init_normal(model.head, c.init_std)
    return model


def _mean(encoded: Encoded) -> Tensor:
    return pool_mean(encoded.output.last_hidden_state, encoded.attention_mask)
