"""An encoder that reads a source and a decoder that writes a target. What T5 and the first Transformer have in common.

Shapes: B batch, S positions of the source, T of the target, D d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.nn.cache import GrowingCache, Seq2SeqCache, StaticCache
from hanmo.nn.context import Context
from hanmo.nn.embedding import Embedding, check_ids
from hanmo.nn.frozen_linear import compute_dtype
from hanmo.nn.losses import IGNORED, chunked_cross_entropy
from hanmo.nn.masks import causal_mask, combine, padding_mask
from hanmo.nn.outputs import EncoderOutput, Seq2SeqLMOutput
from hanmo.nn.relative_bias import RelativeBias, biased_mask
from hanmo.nn.sinusoids import SinusoidalEmbedding
from hanmo.nn.stack import Stack
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt

__all__ = ["Seq2SeqConfig", "Seq2SeqLM", "SourceEncoder", "shift_right", "start_token"]


class Seq2SeqConfig(Protocol):
    """What is asked of the settings beyond building the model."""

    @property
    def max_len(self) -> int | None: ...
    @property
    def n_decoder_layers(self) -> int: ...
    @property
    def n_decoder_heads(self) -> int: ...
    @property
    def d_decoder_head(self) -> int: ...
    @property
    def pad_id(self) -> int | None: ...
    @property
    def start_id(self) -> int: ...


class SourceEncoder(nn.Module):
    """Vectors of the tokens of a source, each of which has seen all others."""

    takes_virtual = ("prompt",)
    virtual: SoftPrompt | None
    """Learned positions before the source, of an adapter; they are part of what is returned."""

    def __init__(
        self,
        config: Any,
        *,
        embedding: Embedding | SinusoidalEmbedding,
        stack: Stack,
        bias: RelativeBias | None = None,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        bias: added to the scores of all layers.
        architecture: what `transformers` calls the encoder on its own.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.stack = stack
        self.bias = bias
        self.virtual = None

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, D)."""
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
            input_ids: (B, S) int64.
            attention_mask: (B, S), 1 for real tokens. Padding on the left shifts positions that are not relative.
            inputs_embeds: token vectors (B, S, D) in place of ids.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        batch, length = one_input(input_ids, inputs_embeds).shape[:2]
        if self.virtual is not None:
            vectors = self.embedding.vectors(input_ids) if inputs_embeds is None else inputs_embeds
            input_ids, inputs_embeds = None, self.virtual.before(vectors)
            attention_mask, length = self.virtual.real(attention_mask), length + self.virtual.n_tokens
        x = self.embedding(input_ids, inputs_embeds)
        mask = padding_mask(attention_mask, batch, length) if attention_mask is not None else None
        if self.bias is not None:
            mask = biased_mask(self.bias(length, length), mask)
        seen: list[Tensor] | None = [] if output_hidden_states else None
        x = self.stack(x, Context(mask=mask), seen)
        return EncoderOutput(last_hidden_state=x, hidden_states=tuple(seen) if seen is not None else None)


class Seq2SeqLM(nn.Module):
    """p(next token of the target | target so far, source)."""

    takes_virtual = ("prefix",)
    virtual: Prefix | None
    """Keys and values before those of the target, of an adapter."""

    def __init__(
        self,
        config: Seq2SeqConfig,
        *,
        encoder: SourceEncoder,
        decoder: Stack,
        decoder_embedding: Embedding | SinusoidalEmbedding | None = None,
        decoder_bias: RelativeBias | None = None,
        head: nn.Linear | None = None,
        logits_bias: nn.Parameter | None = None,
        scale: float = 1.0,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        decoder: layers with cross-attention.
        decoder_embedding: of the target; that of the source if None.
        decoder_bias: added to the scores of the decoder's self-attention in all layers.
        head: projection to the vocabulary; None ties it to the target's token vectors (Press & Wolf, 2017).
        logits_bias: added to the scores of the tokens, (V,).
        scale: factor of the decoder's output before the projection.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.encoder = encoder
        self.decoder = decoder
        self.decoder_embedding = decoder_embedding
        self.decoder_bias = decoder_bias
        self.head = head
        self.logits_bias = logits_bias
        self.scale = scale
        self.virtual = None

    @property
    def target_embedding(self) -> Embedding | SinusoidalEmbedding:
        """What turns tokens of the target into vectors."""
        return self.encoder.embedding if self.decoder_embedding is None else self.decoder_embedding

    @property
    def head_weight(self) -> Tensor:
        """The matrix that turns (scaled) hidden states into logits, (V, D)."""
        return self.target_embedding.token.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) → unnormalised scores (..., V)."""
        return F.linear(self._scaled(hidden), self.head_weight, self.logits_bias)

    def hidden(
        self,
        decoder_input_ids: Tensor,
        *,
        source: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        past_key_values: Seq2SeqCache | None = None,
        seen: list[Tensor] | None = None,
    ) -> Tensor:
        """The decoder without its head.

        Args:
            decoder_input_ids: (n B, T) int64; n rows after each other look at the same source.
            source: output of the encoder, (B, S, D); not needed once a cache has seen it.
            attention_mask: which positions of the source are real, (B, S); not needed once a cache has seen it.
            decoder_attention_mask: (n B, positions held + T), 1 for real tokens.
            past_key_values: earlier positions; these ones are added to it.
            seen: if a list, the input of each layer and the final output are appended to it.

        Returns:
            Output of the last layer, or of the final norm where there is one, (n B, T, D).

        Raises:
            ConfigError: for input that cannot be used.
        """
        batch, length = one_input(decoder_input_ids, None, where="decoder_input_ids").shape
        check_ids(
            decoder_input_ids,
            self.target_embedding.token.num_embeddings,
            training=self.training,
            where="decoder_input_ids",
        )
        cache = past_key_values
        own = cache.own if cache is not None else None
        if self.virtual is not None:
            own = GrowingCache() if own is None else own
            if not own.length:
                self.virtual.fill(own, batch, compute_dtype(self.head_weight))
            decoder_attention_mask = self.virtual.real(decoder_attention_mask)
        if self.encoder.virtual is not None:
            attention_mask = self.encoder.virtual.real(attention_mask)
        offset = own.length if own is not None else 0
        source_mask = _source_mask(batch, source, attention_mask, cache)
        x = self.target_embedding(decoder_input_ids, offset=offset)
        mask, causal = None, length > 1
        if decoder_attention_mask is not None:
            mask = padding_mask(decoder_attention_mask, batch, offset + length)
        if causal and (mask is not None or offset or self.decoder_bias is not None):
            mask, causal = combine(mask, causal_mask(length, offset + length, x.device)), False
        if self.decoder_bias is not None:
            mask = biased_mask(self.decoder_bias(length, offset + length), mask)
        context = Context(
            causal=causal,
            mask=mask,
            cache=own,
            source=source,
            source_mask=source_mask,
            source_cache=cache.source if cache is not None else None,
        )
        x = self.decoder(x, context, seen)
        if own is not None:
            own.advance(length)
        return x

    def taught(self, input_ids: Tensor, attention_mask: Tensor | None, labels: Tensor) -> Tensor:
        """What the head makes scores of under teacher forcing: times `head_weight`, plus `logits_bias`, they are logits.

        Args:
            input_ids: sources, (B, S) int64.
            attention_mask: (B, S), 1 for real tokens.
            labels: targets, (B, T) int64, padded with -100 on the right.

        Returns:
            (B, T, D).
        """
        source = self.encoder(input_ids, attention_mask).last_hidden_state
        read = shift_right(labels, self.config)
        return self._scaled(self.hidden(read, source=source, attention_mask=attention_mask))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: EncoderOutput | Sequence[Tensor] | None = None,
        past_key_values: Seq2SeqCache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> Seq2SeqLMOutput:
        """Logits, and what else is asked for, under the names that `transformers` uses.

        Args:
            input_ids: the source, (B, S) int64.
            attention_mask: (B, S), 1 for real tokens of the source.
            decoder_input_ids: the target, (B, T) int64; the labels shifted to the right if None.
            decoder_attention_mask: (B, positions held + T), 1 for real tokens of the target.
            encoder_outputs: what the encoder returned, in place of the source.
            past_key_values: a cache from an earlier call; once it has seen the source, that is not needed again.
            inputs_embeds: vectors of the source's tokens, (B, S, D), in place of ids.
            labels: (B, T) int64, what is to be predicted at each position of the target; -100 leaves one out.
            use_cache: return a cache to go on from. Off unless asked for, or a cache is given.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        if decoder_input_ids is None:
            if labels is None:
                raise ConfigError("give decoder_input_ids or labels", where="decoder_input_ids")
            decoder_input_ids = shift_right(labels, self.config)
        if past_key_values is None and use_cache:
            past_key_values = Seq2SeqCache()
        elif past_key_values is not None:
            _check_cache(past_key_values, use_cache)
        encoded = self._encode(input_ids, attention_mask, encoder_outputs, past_key_values, inputs_embeds, output_hidden_states)  # fmt: skip
        seen: list[Tensor] | None = [] if output_hidden_states else None
        hidden = self.hidden(
            decoder_input_ids,
            source=encoded.last_hidden_state if encoded is not None else None,
            attention_mask=attention_mask,
            decoder_attention_mask=decoder_attention_mask,
            past_key_values=past_key_values,
            seen=seen,
        )
        return Seq2SeqLMOutput(
            loss=self._loss(hidden, labels) if labels is not None else None,
            logits=self.logits(hidden),
            past_key_values=past_key_values,
            decoder_hidden_states=tuple(seen) if seen is not None else None,
            encoder_last_hidden_state=encoded.last_hidden_state if encoded is not None else None,
            encoder_hidden_states=encoded.hidden_states if encoded is not None else None,
        )

    def new_cache(self, batch: int, max_len: int | None = None) -> Seq2SeqCache:
        """An empty cache of this model's shape, dtype and device, for `batch` rows of at most `max_len` positions.

        Raises:
            ConfigError: if neither `max_len` nor the model says how long a target may be.
        """
        weight, config = self.head_weight, self.config
        max_len = max_len or config.max_len
        if max_len is None:
            raise ConfigError("this model has no longest text of its own", where="max_len", remedy="Give one.")
        max_len += 0 if self.virtual is None else self.virtual.n_tokens
        return Seq2SeqCache(
            StaticCache(
                config.n_decoder_layers,
                batch,
                config.n_decoder_heads,
                max_len,
                config.d_decoder_head,
                weight.dtype,
                weight.device,
            )
        )

    def _encode(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        encoder_outputs: EncoderOutput | Sequence[Tensor] | None,
        cache: Seq2SeqCache | None,
        inputs_embeds: Tensor | None,
        output_hidden_states: bool | None,
    ) -> EncoderOutput | None:
        given = input_ids is not None or inputs_embeds is not None
        if encoder_outputs is not None:
            if given:
                raise ConfigError(
                    "give the source or encoder_outputs, not both", where="encoder_outputs", remedy="Leave one out."
                )
            if isinstance(encoder_outputs, EncoderOutput):
                return encoder_outputs
            return EncoderOutput(last_hidden_state=encoder_outputs[0])
        if cache is not None and cache.source.shape is not None:
            if given:
                raise ConfigError(
                    "past_key_values has seen its source, but another is given",
                    where="input_ids",
                    remedy="Leave the source out to go on, or leave out past_key_values to start anew.",
                )
            return None
        return self.encoder(input_ids, attention_mask, inputs_embeds, output_hidden_states)

    def _scaled(self, hidden: Tensor) -> Tensor:
        return hidden if self.scale == 1.0 else hidden * self.scale

    def _loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != hidden.shape[:2]:
            raise ConfigError(
                f"labels have shape {tuple(labels.shape)}, the target {tuple(hidden.shape[:2])}", where="labels"
            )
        return chunked_cross_entropy(
            self._scaled(hidden).flatten(0, 1),
            self.head_weight,
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="mean",
            bias=self.logits_bias,
        )


def shift_right(labels: Tensor, config: Seq2SeqConfig) -> Tensor:
    """What the decoder reads to predict `labels`: its start token, then all but the last; padding where one is left out.

    Args:
        labels: (B, T) int64, -100 where none is scored.
        config: for `start_id` and `pad_id`.

    Raises:
        ConfigError: if the labels have the wrong axes, or the settings lack one of the tokens.
    """
    one_input(labels, None, where="labels")
    if config.pad_id is None:
        raise ConfigError("no token stands for what is left out", where="pad_id", remedy="Set pad_id.")
    shifted = labels.roll(1, dims=-1)
    shifted[:, 0] = config.start_id
    return shifted.masked_fill(shifted == IGNORED, config.pad_id)


def start_token(token: int | None) -> int:
    """The token itself.

    Raises:
        ConfigError: if there is none.
    """
    if token is None:
        raise ConfigError("no token starts the target", where="decoder_start_id", remedy="Set decoder_start_id.")
    return token


def _source_mask(
    batch: int, source: Tensor | None, attention_mask: Tensor | None, cache: Seq2SeqCache | None
) -> Tensor | None:
    """The mask over the source, given or remembered; checks that source and target fit each other."""
    held = cache.source if cache is not None else None
    if held is not None and held.shape is not None:
        n_rows, length = held.shape
        attention_mask = held.mask if attention_mask is None else attention_mask
    else:
        if source is None:
            raise ConfigError("the decoder was given no source", where="encoder_outputs")
        if source.dim() != 3:
            raise ConfigError(f"expected 3 axes, got the shape {tuple(source.shape)}", where="encoder_outputs")
        n_rows, length = source.shape[:2]
        if held is not None:
            held.mask = attention_mask
    if batch % n_rows:
        raise ConfigError(f"{batch} rows of target for {n_rows} of source", where="decoder_input_ids")
    return padding_mask(attention_mask, n_rows, length) if attention_mask is not None else None


def _check_cache(cache: object, use_cache: bool | None) -> None:
    if not isinstance(cache, Seq2SeqCache):
        raise ConfigError(
            f"past_key_values is a {type(cache).__name__}",
            where="past_key_values",
            remedy="Give a hanmo.nn.cache.Seq2SeqCache, or what an earlier call returned.",
        )
    if use_cache is False:
        raise ConfigError(
            "use_cache=False contradicts past_key_values", where="use_cache", remedy="Leave one of them out."
        )
