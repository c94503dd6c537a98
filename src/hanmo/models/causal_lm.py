"""A decoder that predicts the next token: embedding, stack, head. What GPT-2, Llama and their kind have in common."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import check_positions, one_input
from hanmo.models.next_token import NextTokenModel
from hanmo.nn.attention import SelfAttention
from hanmo.nn.cache import Cache, GrowingCache, StaticCache
from hanmo.nn.context import Context
from hanmo.nn.embedding import Embedding
from hanmo.nn.frozen_linear import compute_dtype
from hanmo.nn.masks import causal_mask, combine, packed_mask, packed_texts, padding_mask, shifted_positions
from hanmo.nn.positions import Rotary
from hanmo.nn.sparse import Layout
from hanmo.nn.stack import Stack
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt, VirtualTokens

__all__ = ["CausalLM", "CausalLMConfig"]


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


class CausalLM(NextTokenModel):
    """A `NextTokenModel` whose layers attend; S are positions with the cache."""

    caches = (GrowingCache, StaticCache)
    takes_virtual = ("prompt", "prefix")
    virtual: VirtualTokens | None
    """Learned positions before all texts, of an adapter; a caller knows nothing of them."""

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
        """Args: as there, and
        head: projection to the vocabulary; None ties it to the token embedding.
        rotary: angles for the attention of every layer, if positions are rotary.
        """
        super().__init__(config, architecture=architecture, embedding=embedding)
        self.stack = stack
        self.head = head
        self.rotary = rotary
        self.virtual: VirtualTokens | None = None
        layers = [part for part in stack.modules() if isinstance(part, SelfAttention)]
        self._all_sparse = bool(layers) and all(layer.pattern is not None for layer in layers)

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
        if position_ids is not None:
            position_ids = check_positions(position_ids, batch, length)
        texts = None
        if position_ids is not None and attention_mask is None and past_key_values is None:
            texts = packed_texts(position_ids)
        cache, n_before = past_key_values, 0
        if self.virtual is not None:
            cache, n_before = self._with_prefix(cache, batch), self.virtual.n_tokens
            attention_mask = self.virtual.real(attention_mask)
            if texts is not None and any(
                isinstance(p, SelfAttention) and p.pattern is not None for p in self.modules()
            ):
                raise ConfigError(
                    "rows of several texts cannot have virtual tokens where attention is sparse", where="position_ids",
                    remedy="Give an attention_mask and one text to a row.",
                )  # fmt: skip
        offset = cache.length if cache is not None else 0
        n_new = 0  # virtual tokens that this pass computes
        if isinstance(self.virtual, SoftPrompt) and not offset:
            vectors = self.embedding.vectors(input_ids) if inputs_embeds is None else inputs_embeds
            input_ids, inputs_embeds, n_new = None, self.virtual.before(vectors), n_before
            length += n_new
        position_ids = shifted_positions(position_ids, n_before, n_new)
        x = self.embedding(input_ids, inputs_embeds, position_ids, offset)
        padding = padding_mask(attention_mask, batch, offset + length) if attention_mask is not None else None
        layout = Layout(causal=True, real=padding[:, 0, 0] if padding is not None else None, texts=texts)
        mask, causal = padding, length > 1
        if not self._all_sparse:
            mask = combine(padding, packed_mask(texts, n_before, n_new))
            if causal and (mask is not None or offset):
                mask, causal = combine(mask, causal_mask(length, offset + length, x.device)), False
        rotation = self.rotary(position_ids, length, offset, x.device) if self.rotary is not None else None
        context = Context(causal=causal, mask=mask, layout=layout, rotation=rotation, cache=cache)
        x = self.stack(x, context, seen)
        if cache is not None:
            cache.advance(length)
        if n_new and seen is not None:
            seen[:] = [one[:, n_new:] for one in seen]
        return x[:, n_new:] if n_new else x

    def _with_prefix(self, cache: Cache | None, batch: int) -> Cache | None:
        """The cache, which begins with the prefix if there is one."""
        if not isinstance(self.virtual, Prefix):
            return cache
        cache = GrowingCache() if cache is None else cache
        if not cache.length:
            self.virtual.fill(cache, batch, compute_dtype(self.embedding.token.weight))
        return cache

    def new_cache(self, batch: int, max_len: int | None = None) -> StaticCache:
        """An empty cache of this model's shape, dtype and device, for `batch` rows of at most `max_len` positions."""
        weight, config = self.embedding.token.weight, self.config
        n_before = 0 if self.virtual is None else self.virtual.n_tokens
        return StaticCache(
            config.n_layers,
            batch,
            config.n_kv_heads,
            n_before + (max_len or config.max_len),
            config.d_head,
            weight.dtype,
            weight.device,
        )
