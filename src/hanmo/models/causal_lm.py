"""A decoder that predicts the next token: embedding, stack, head. What GPT-2, Llama and their kind have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import check_positions, one_input, refuse_arguments
from hanmo.nn.attention import SelfAttention
from hanmo.nn.cache import Cache, GrowingCache, StaticCache
from hanmo.nn.context import Context
from hanmo.nn.embedding import Embedding
from hanmo.nn.losses import chunked_cross_entropy
from hanmo.nn.masks import causal_mask, combine, packed_mask, packed_texts, padding_mask
from hanmo.nn.outputs import CausalLMOutput
from hanmo.nn.positions import Rotary
from hanmo.nn.sparse import Layout
from hanmo.nn.stack import Stack

__all__ = ["CausalLM", "CausalLMConfig", "NextTokenModel"]


class CausalLMConfig(Protocol):
    """What is asked of a causal family's settings beyond building it."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def max_len(self) -> int: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def n_kv_heads(self) -> int: ...
    @property
    def d_head(self) -> int: ...


class NextTokenModel(Protocol):
    """What training, evaluation and generation ask of a language model that reads from the left, however it is built."""

    training: bool

    @property
    def config(self) -> Any: ...  # with vocab_size, max_len, eos_id
    @property
    def head_weight(self) -> Tensor: ...  # (V, D)
    def hidden(self, input_ids: Tensor, /) -> Tensor: ...  # (B, T) → (B, T, D)
    def new_cache(self, batch: int, max_len: int | None = None) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...  # → CausalLMOutput
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...


class CausalLM(nn.Module):
    """p(next token | tokens so far). B batch, T positions, S positions with the cache, D d_model, V vocabulary."""

    def __init__(
        self,
        config: CausalLMConfig,
        *,
        embedding: Embedding,
        stack: Stack,
        head: nn.Linear | None,
        rotary: Rotary | None = None,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        head: projection to the vocabulary; None ties it to the token embedding (Press & Wolf, 2017).
        rotary: angles for the attention of every layer, if positions are rotary.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.stack = stack
        self.head = head
        self.rotary = rotary
        layers = [part for part in stack.modules() if isinstance(part, SelfAttention)]
        self._all_sparse = bool(layers) and all(layer.pattern is not None for layer in layers)

    @property
    def head_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, (V, D)."""
        return self.embedding.token.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) → unnormalised scores (..., V)."""
        return F.linear(hidden, self.embedding.token.weight) if self.head is None else self.head(hidden)

    def hidden(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        *,
        seen: list[Tensor] | None = None,
    ) -> Tensor:
        """Everything but the head.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, S), 1 for real tokens, padding on either side. It does not shift positions: give
                `position_ids` (see `hanmo.nn.masks.positions_from_padding`) with padding on the left.
            position_ids: (B, T) or (1, T); consecutive after the cache if None. Where they do not go up by one, and
                there is neither a mask nor a cache, a new text is taken to start that cannot see the one before.
            past_key_values: earlier positions; these ones are added to it.
            inputs_embeds: token vectors (B, T, D) in place of ids.
            seen: if a list, the input of each layer and the final output are appended to it.

        Returns:
            Output of the final norm, (B, T, D).

        Raises:
            ConfigError: for input that cannot be used: no rows, ids outside the vocabulary, too many positions, shapes
                that do not fit each other.
        """
        given = one_input(input_ids, inputs_embeds)
        batch, length = given.shape[:2]
        offset = past_key_values.length if past_key_values is not None else 0
        if position_ids is not None:
            position_ids = check_positions(position_ids, batch, length)
        x = self.embedding(input_ids, inputs_embeds, position_ids, offset)
        padding = padding_mask(attention_mask, batch, offset + length) if attention_mask is not None else None
        texts = None
        if position_ids is not None and attention_mask is None and past_key_values is None:
            texts = packed_texts(position_ids)
        layout = Layout(causal=True, real=padding[:, 0, 0] if padding is not None else None, texts=texts)
        mask, causal = padding, length > 1
        if not self._all_sparse:
            mask = combine(padding, packed_mask(texts))
            if causal and (mask is not None or offset):
                mask, causal = combine(mask, causal_mask(length, offset + length, x.device)), False
        rotation = self.rotary(position_ids, length, offset, x.device) if self.rotary is not None else None
        context = Context(causal=causal, mask=mask, layout=layout, rotation=rotation, cache=past_key_values)
        x = self.stack(x, context, seen)
        if past_key_values is not None:
            past_key_values.advance(length)
        return x

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> CausalLMOutput:
        """Logits, and what else is asked for, under the names that `transformers` uses.

        Args:
            input_ids: (B, T) int64.
            attention_mask: see `hidden`, as for the next three.
            labels: (B, T) int64, usually the ids themselves: they are shifted by one here; -100 leaves one out.
            use_cache: return a cache to go on from. Off unless asked for, or a cache is given.
            logits_to_keep: how many last positions get logits (0 = all), or their indices, (T',).
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        if past_key_values is None and use_cache:
            past_key_values = GrowingCache()
        elif past_key_values is not None:
            _check_cache(past_key_values, use_cache)
        seen: list[Tensor] | None = [] if output_hidden_states else None
        hidden = self.hidden(input_ids, attention_mask, position_ids, past_key_values, inputs_embeds, seen=seen)
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutput(
            loss=self._loss(hidden, labels) if labels is not None else None,
            logits=self.logits(hidden[:, keep]),
            past_key_values=past_key_values,
            hidden_states=tuple(seen) if seen is not None else None,
            last_hidden_state=hidden,
        )

    def new_cache(self, batch: int, max_len: int | None = None) -> StaticCache:
        """An empty cache of this model's shape, dtype and device, for `batch` rows of at most `max_len` positions."""
        weight, config = self.embedding.token.weight, self.config
        return StaticCache(
            config.n_layers,
            batch,
            config.n_kv_heads,
            max_len or config.max_len,
            config.d_head,
            weight.dtype,
            weight.device,
        )

    def _loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != hidden.shape[:2]:
            raise ConfigError(
                f"labels have shape {tuple(labels.shape)}, the input {tuple(hidden.shape[:2])}", where="labels"
            )
        return chunked_cross_entropy(
            hidden[:, :-1].flatten(0, 1), self.head_weight, labels[:, 1:].flatten(), reduction="mean"
        )


def _check_cache(cache: object, use_cache: bool | None) -> None:
    if not isinstance(cache, (GrowingCache, StaticCache)):
        raise ConfigError(
            f"past_key_values is a {type(cache).__name__}",
            where="past_key_values",
            remedy="Give a hanmo.nn.cache.GrowingCache or StaticCache, or what an earlier call returned.",
        )
    if use_cache is False:
        raise ConfigError(
            "use_cache=False contradicts past_key_values", where="use_cache", remedy="Leave one of them out."
        )
