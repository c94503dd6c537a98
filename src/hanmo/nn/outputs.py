"""What a model's forward pass returns: attributes, and the dictionary and tuple access that `transformers` users know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from hanmo.nn.cache import Cache, Seq2SeqCache
from hanmo.nn.recurrent import LSTMState
from hanmo.nn.recurrent_decoder import DecoderState

__all__ = [
    "CausalLMOutput",
    "ClassifierOutput",
    "ContrastiveOutput",
    "EncoderOutput",
    "MaskedLMOutput",
    "Output",
    "PretrainingOutput",
    "ProjectedOutput",
    "SentenceOrderOutput",
    "Seq2SeqLMOutput",
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
    past_key_values: Cache | LSTMState | None = None
    """Keys and values, or a recurrent state, for going on; with `use_cache`."""
    hidden_states: tuple[Tensor, ...] | None = None
    """Input of each layer and the final output, n_layers + 1 times (B, T, D); with `output_hidden_states`."""
    last_hidden_state: Tensor | None = None
    """Output of the final norm, (B, T, D)."""


@dataclass
class Seq2SeqLMOutput(Output):
    """Of a language model with a source. B batch, S positions of the source, T of the target, V vocabulary, D d_model."""

    loss: Tensor | None = None
    """Mean cross-entropy in nats over the labels that count, scalar; with `labels`."""
    logits: Tensor | None = None
    """Unnormalised scores of the next token, (B, T, V)."""
    past_key_values: Seq2SeqCache | DecoderState | None = None
    """Keys and values, or a recurrent state, for going on; with `use_cache`."""
    decoder_hidden_states: tuple[Tensor, ...] | None = None
    """Input of each layer and the final output, n_layers + 1 times (B, T, D); with `output_hidden_states`."""
    encoder_last_hidden_state: Tensor | None = None
    """Output of the encoder, (B, S, D); unless a cache has taken its place."""
    encoder_hidden_states: tuple[Tensor, ...] | None = None
    """The same of the encoder, (B, S, D)."""


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
    mems: tuple[Tensor, ...] | None = None
    """What each layer may look back at in the next segment, n_layers times (B, M, D); where there is recurrence."""
    virtual_hidden_state: Tensor | None = None
    """`last_hidden_state` of the virtual tokens before the text, (B, n, D); where an adapter has put them there."""


@dataclass
class MaskedLMOutput(Output):
    """Of a model that fills in masked tokens. V vocabulary."""

    loss: Tensor | None = None
    """Mean cross-entropy in nats over the labels that count, scalar; with `labels`."""
    logits: Tensor | None = None
    """Unnormalised scores of the token at each position itself, (B, T, V)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""
    mems: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class PretrainingOutput(Output):
    """Of a model that fills in masked tokens and judges pairs of segments."""

    loss: Tensor | None = None
    """Sum of the two mean losses, scalar; with both kinds of labels."""
    prediction_logits: Tensor | None = None
    """Scores of the tokens, (B, T, V)."""
    seq_relationship_logits: Tensor | None = None
    """Scores of whether the second segment follows the first, (B, 2)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class SentenceOrderOutput(Output):
    """Of a model that fills in masked tokens and judges the order of two segments."""

    loss: Tensor | None = None
    """Sum of the two mean losses, scalar; with both kinds of labels."""
    prediction_logits: Tensor | None = None
    """Scores of the tokens, (B, T, V)."""
    sop_logits: Tensor | None = None
    """Scores of the order as it is and swapped, (B, 2)."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class ClassifierOutput(Output):
    """Of a classifier of rows or of tokens. C classes."""

    loss: Tensor | None = None
    """Scalar; with `labels`."""
    logits: Tensor | None = None
    """Scores (B, C) of rows, or (B, T, C) of tokens."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""
    mems: tuple[Tensor, ...] | None = None
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
    mems: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class ProjectedOutput(Output):
    """Of one tower of a pair that shares a space. B batch, E width of that space."""

    text_embeds: Tensor | None = None
    """Projected vectors of texts, not normalised, (B, E); of a text tower."""
    image_embeds: Tensor | None = None
    """Projected vectors of images, not normalised, (B, E); of an image tower."""
    last_hidden_state: Tensor | None = None
    """As in `EncoderOutput`."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


@dataclass
class ContrastiveOutput(Output):
    """Of a pair of towers. B_i images, B_t texts, E width of the shared space."""

    loss: Tensor | None = None
    """Mean of both cross-entropies in nats, scalar; with `return_loss`."""
    logits_per_image: Tensor | None = None
    """Cosines times the inverse temperature, (B_i, B_t)."""
    logits_per_text: Tensor | None = None
    """The same seen from the texts, (B_t, B_i)."""
    text_embeds: Tensor | None = None
    """Vectors of texts of length 1, (B_t, E)."""
    image_embeds: Tensor | None = None
    """Vectors of images of length 1, (B_i, E)."""
    text_model_output: EncoderOutput | None = None
    """What the text tower returned, its pooled vector projected."""
    vision_model_output: EncoderOutput | None = None
    """What the image tower returned, its pooled vector projected."""
