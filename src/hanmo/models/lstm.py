"""LSTM language model (Zaremba et al., 2015; tied output as in Press & Wolf, 2017; dropped weights as in Merity et al.,
2018): embedding, recurrent layers, head."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings
from hanmo.models.inputs import check_positions, one_input
from hanmo.models.next_token import NextTokenModel
from hanmo.nn.dropout import dropped
from hanmo.nn.embedding import Embedding
from hanmo.nn.init import init_normal
from hanmo.nn.linear import Linear
from hanmo.nn.masks import packed_texts
from hanmo.nn.recurrent import LSTM, LSTMState

__all__ = ["LSTMLM", "SIZES", "LSTMConfig", "lstm"]


class LSTMConfig(Settings):
    """Shape and constants of an LSTM language model."""

    vocab_size: int = Field(10_000, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(1024, gt=0)
    """Longest text that is written or scored in one piece; the recurrence itself has no limit."""
    d_model: int = Field(200, gt=0)
    """Width of token vectors and of the last layer."""
    d_hidden: int = Field(default_factory=lambda data: data["d_model"], gt=0)
    """Width of the other layers; d_model unless given."""
    n_layers: int = Field(2, gt=0, le=4096)
    """Number of layers."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element of the input or output of a layer in training."""
    dropout_weights: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping a weight between the steps of a layer in training."""
    tie_embeddings: bool = True
    """Use the token embedding as output matrix too."""
    init_std: float = Field(0.1, gt=0)
    """Standard deviation of token vectors and output matrix at the start."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int | tuple[int, ...] | None = None
    """Token or tokens that end a text."""
    pad_id: int | None = None
    """Token that fills up rows."""


SIZES: dict[str, dict[str, Any]] = {
    "zaremba-small": {"d_model": 200, "n_layers": 2, "tie_embeddings": False},
    "zaremba-medium": {"d_model": 650, "n_layers": 2, "dropout": 0.5, "tie_embeddings": False},
    "zaremba-large": {"d_model": 1500, "n_layers": 2, "dropout": 0.65, "tie_embeddings": False},
    "awd": {"d_model": 400, "d_hidden": 1150, "n_layers": 3, "dropout": 0.4, "dropout_weights": 0.5},
}


class LSTMLM(NextTokenModel):
    """A `NextTokenModel` whose layers recur, with a state in the place of the cache."""

    caches = (LSTMState,)

    def __init__(self, config: LSTMConfig, *, embedding: Embedding, layers: LSTM, head: nn.Linear | None):
        """Args: as there, and
        head: projection to the vocabulary; None ties it to the token embedding.
        """
        super().__init__(config, architecture="LSTMForCausalLM", embedding=embedding)
        self.layers = layers
        self.head = head

    def hidden(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: LSTMState | None = None,
        inputs_embeds: Tensor | None = None,
        *,
        seen: list[Tensor] | None = None,
    ) -> Tensor:
        """Everything but the head.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, S), 1 for real tokens; the others are passed over, on whichever side they are.
            position_ids: (B, T) or (1, T); a recurrent network has no use for them but to be asked for one text a row.
            past_key_values: what is remembered of earlier positions; these ones are added to it.
            inputs_embeds: token vectors (B, T, D) in place of ids.
            seen: if a list, the input of each layer and the final output are appended to it.

        Returns:
            Output of the last layer, (B, T, D); zeros where there is padding.

        Raises:
            ConfigError: for input that cannot be used: no rows, ids outside the vocabulary, shapes that do not fit each
                other, several texts in a row.
        """
        batch, length = one_input(input_ids, inputs_embeds).shape[:2]
        held = past_key_values.length if past_key_values is not None else 0
        if position_ids is not None:
            _check_one_text(check_positions(position_ids, batch, length), attention_mask, past_key_values)
        mask = None
        if attention_mask is not None:
            if attention_mask.shape != (batch, held + length):
                raise ConfigError(
                    f"attention_mask has shape {tuple(attention_mask.shape)}, expected ({batch}, {held + length})",
                    where="attention_mask",
                    remedy="Give one 0 or 1 for every position, those already in past_key_values included.",
                )
            mask = attention_mask[:, held:]
        x = self.embedding(input_ids, inputs_embeds)
        x = self.layers(x, mask, past_key_values, seen)
        x = dropped(x, self.config.dropout, self.training)
        if seen is not None:
            seen.append(x)
        return x

    def new_cache(self, batch: int, max_len: int | None = None) -> LSTMState:
        """An empty state. It takes any rows and is never full: the arguments are those of models with a cache."""
        return LSTMState()


def lstm(config: LSTMConfig) -> LSTMLM:
    """Assemble an LSTM language model with fresh weights."""
    c = config
    model = LSTMLM(
        c,
        embedding=Embedding(c.vocab_size, c.d_model, dropout=c.dropout),
        layers=LSTM(
            c.d_model, [c.d_hidden] * (c.n_layers - 1) + [c.d_model],
            dropout=c.dropout, dropout_weights=c.dropout_weights,
        ),
        head=None if c.tie_embeddings else Linear(c.d_model, c.vocab_size, bias=False),
    )  # fmt: skip
    init_normal(model.embedding, c.init_std)
    if model.head is not None:
        init_normal(model.head, c.init_std)
    return model


def _check_one_text(positions: Tensor, mask: Tensor | None, state: LSTMState | None) -> None:
    """Where `CausalLM` would keep texts apart, this model would read one into the other."""
    if mask is None and state is None and not torch.compiler.is_compiling() and packed_texts(positions) is not None:
        raise ConfigError(
            "several texts in a row are not told apart by a recurrent network",
            where="position_ids",
            remedy="Give each text a row of its own, or leave position_ids out where they may follow each other.",
        )
