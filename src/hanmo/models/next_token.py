"""What language models that read from the left have in common, whether layers attend or recur."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import refuse_arguments
from hanmo.nn.embedding import Embedding
from hanmo.nn.losses import chunked_cross_entropy
from hanmo.nn.outputs import CausalLMOutput

__all__ = ["NextTokenModel"]


class NextTokenModel(nn.Module):
    """p(next token | tokens so far): an embedding, something that turns it into hidden states, a head.

    B batch, T positions, S positions with those before, D d_model, V vocabulary.
    """

    caches: tuple[type, ...]
    """What may hold earlier positions; the first is made where none is given."""
    hidden: Callable[..., Tensor]
    """Everything but the head; the arguments of `forward` up to `inputs_embeds`, and `seen`. → (B, T, D)"""
    new_cache: Callable[..., Any]
    """(batch, max_len) → an empty cache."""

    head: nn.Linear | None
    """Projection to the vocabulary; None ties it to the token embedding (Press & Wolf, 2017)."""

    def __init__(self, config: Any, *, architecture: str, embedding: Embedding):
        """Args:
        config: the settings that it was built from, with `vocab_size`, `max_len` and `eos_id`.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding

    @property
    def head_weight(self) -> Tensor:
        """The matrix that turns hidden states into logits, (V, D)."""
        return self.embedding.token.weight if self.head is None else self.head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) → unnormalised scores (..., V)."""
        return F.linear(hidden, self.embedding.token.weight) if self.head is None else self.head(hidden)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
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
            past_key_values = self.caches[0]()
        elif past_key_values is not None:
            self._check_cache(past_key_values, use_cache)
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

    def _check_cache(self, cache: object, use_cache: bool | None) -> None:
        if not isinstance(cache, self.caches):
            usable = " or ".join(f"{kind.__module__}.{kind.__name__}" for kind in self.caches)
            raise ConfigError(
                f"past_key_values is a {type(cache).__name__}",
                where="past_key_values",
                remedy=f"Give a {usable}, or what an earlier call returned.",
            )
        if use_cache is False:
            raise ConfigError(
                "use_cache=False contradicts past_key_values", where="use_cache", remedy="Leave one of them out."
            )

    def _loss(self, hidden: Tensor, labels: Tensor) -> Tensor:
        if labels.shape != hidden.shape[:2]:
            raise ConfigError(
                f"labels have shape {tuple(labels.shape)}, the input {tuple(hidden.shape[:2])}", where="labels"
            )
        return chunked_cross_entropy(
            hidden[:, :-1].flatten(0, 1), self.head_weight, labels[:, 1:].flatten(), reduction="mean"
        )
