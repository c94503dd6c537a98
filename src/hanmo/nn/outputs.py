"""What a model's forward pass returns: attributes, and the dictionary and tuple access that `transformers` users know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from hanmo.nn.cache import Cache

__all__ = [
    "CausalLMOutput",
    "ClassifierOutput",
    "EncoderOutput",
    "MaskedLMOutput",
    "Output",
    "PretrainingOutput",
    "SpanOutput",
]


class Output:
    """Base of output dataclasses: `out.name`, `out["name"]` and `out[0]`; fields that are None do not count."""

    def keys(self) -> list[str]:
        """Names of the fields that are there, in order."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]  # pyright: ignore[reportArgumentType]

    def to_tuple(self) -> tuple[Any, ...]:
        """The fields that are there, in order."""
        return tuple(getattr(self, key) for key in self.keys())

    def __getitem__(self, key: str | int | slice) -> Any:
        if not isinstance(key, str):
            return self.to_tuple()[key]
        if key not in self.keys():
            raise KeyError(key)
        return getattr(self, key)

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


@dataclass
class CausalLMOutput(Output):
    """Of a causal language model. B batch, T positions, T' positions kept, V vocabulary, D d_model."""

    loss: Tensor | None = None
    """Mean cross-entropy in nats over the labels that count, scalar; with `labels`."""
    logits: Tensor | None = None
    """Unnormalised scores of the next token, (B, T', V)."""
    past_key_values: Cache | None = None
    """Keys and values for going on; with `use_cache`."""
    hidden_states: tuple[Tensor, ...] | None = None
    """Input of each layer and the final output, n_layers + 1 times (B, T, D); with `output_hidden_states`."""
    last_hidden_state: Tensor | None = None
    """Output of the final norm, (B, T, D)."""


@dataclass
class EncoderOutput(Output):
    """Of a stack without a head. B batch, T positions, D d_model."""

    last_hidden_state: Tensor
    """Output of the last layer (of the final norm where there is one), (B, T, D)."""
    pooler_output: Tensor | None = None
    """One vector for the whole row, (B, D'); where the family has a pooler."""
    past_key_values: Cache | None = None
    """Keys and values for going on; with `use_cache`."""
    hidden_states: tuple[Tensor, ...] | None = None
    """Input of each layer and the final output, n_layers + 1 times (B, T, D); with `output_hidden_states`."""


@dataclass
class MaskedLMOutput(Output):
    """Of a model that fills in masked tokens. V vocabulary."""

    loss: Tensor | None = None
    """Mean cross-entropy in nats over the labels that count, scalar; with `labels`."""
    logits: Tensor | None = None
    """Unnormalised scores of the token at each position itself, (B, T, V)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class PretrainingOutput(Output):
    """Of a model that fills in masked tokens and judges pairs of segments."""

    loss: Tensor | None = None
    """Sum of the two mean losses, scalar; with both kinds of labels."""
    prediction_logits: Tensor | None = None
    """Scores of the tokens, (B, T, V)."""
    seq_relationship_logits: Tensor | None = None
    """Scores of the pair (next sentence, or sentence order), (B, 2)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""

    @property
    def sop_logits(self) -> Tensor | None:
        """ALBERT's name for the scores of the pair."""
        return self.seq_relationship_logits


@dataclass
class ClassifierOutput(Output):
    """Of a classifier of rows or of tokens. C classes."""

    loss: Tensor | None = None
    """Scalar; with `labels`."""
    logits: Tensor | None = None
    """Scores (B, C) of rows, or (B, T, C) of tokens."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class SpanOutput(Output):
    """Of a model that points at the first and the last token of an answer."""

    loss: Tensor | None = None
    """Mean of the two cross-entropies, scalar; with `start_positions` and `end_positions`."""
    start_logits: Tensor | None = None
    """(B, T)."""
    end_logits: Tensor | None = None
    """(B, T)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""
