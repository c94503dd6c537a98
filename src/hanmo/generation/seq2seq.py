"""Texts from encoder-decoders: the source is encoded once, then the decoder writes token by token."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings, Continuation, beam_search, n_candidates, search
from hanmo.generation.beam_packing import beam_refusal
from hanmo.generation.decoding import Decoding, check_prompts
from hanmo.generation.fast_beam import FAST_FROM, FastSteps
from hanmo.generation.settings import GenerationSettings
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.nn.cache import Seq2SeqCache
from hanmo.nn.outputs import CausalLMOutput

__all__ = ["decode_seq2seq", "generate_seq2seq", "searches_fast"]

_NO_LIMIT = 2**31


def generate_seq2seq(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor | None = None,
    settings: GenerationSettings | BeamSettings | None = None,
    *,
    eos_ids: Collection[int] | None = None,
    banned_ids: Collection[int] = (),
    fast: bool = True,
) -> list[list[Continuation]]:
    """Write `settings.n` texts for each source, by sampling, greedily or by beam search.

    Args:
        model: a `Seq2SeqLM`, or another with the same arguments; put in evaluation mode meanwhile.
        input_ids: sources, (B, S) int64.
        attention_mask: (B, S), 1 for real tokens.
        settings: how to choose; greedy if None. `stop` strings are the caller's matter, who knows the tokenizer.
        eos_ids: tokens that end a text; those of the model's settings if None.
        banned_ids: tokens that are never chosen.
        fast: whether compiled kernels may search with beams where they know the model; they find the same texts.

    Returns:
        For each source its texts; of a beam search best first.

    Raises:
        ConfigError: for a source that cannot be used, or a model without a token to start from.
        ModelError: if the model gave NaN.
    """
    settings = GenerationSettings() if settings is None else settings
    ends = _own_ends(model) if eos_ids is None else eos_ids
    if isinstance(settings, BeamSettings):
        if fast and len(input_ids) >= FAST_FROM and searches_fast(model, settings):
            return _search_fast(model, input_ids, attention_mask, settings, ends, banned_ids)
        # rows of a static cache cannot be chosen; a recurrent state is no cache and always can
        cache = Seq2SeqCache() if isinstance(model, Seq2SeqLM) else model.new_cache(len(input_ids))
        writer = _Writer(model, input_ids, attention_mask, banned_ids)
        return beam_search(writer, [[model.config.start_id]] * len(input_ids), settings, eos_ids=ends, cache=cache)
    if settings.stop:
        raise ConfigError(
            "stop strings need a tokenizer, which is not known here", where="stop", remedy="Use decode_seq2seq."
        )
    decoding = decode_seq2seq(model, input_ids, attention_mask, settings, eos_ids=ends, banned_ids=banned_ids)
    for _ in decoding:
        pass
    texts = [
        Continuation(row[1:], reason or "length")
        for row, reason in zip(decoding.rows, decoding.finish_reasons, strict=True)
    ]
    return [texts[first : first + settings.n] for first in range(0, len(texts), settings.n)]


def searches_fast(model: Any, settings: BeamSettings) -> bool:
    """Whether compiled kernels can do this search. What makes tokens less likely or forbids them they do not know."""
    changes = settings.repetition_penalty != 1.0 or (settings.min_new_tokens and settings.renormalize_logits)
    forbids = settings.model_copy(update={"min_new_tokens": 0}).forbids  # the end alone they can hold back
    return not changes and not forbids and beam_refusal(model) is None


def _search_fast(
    model: Any, input_ids: Tensor, attention_mask: Tensor | None, settings: BeamSettings, ends: Collection[int],
    banned_ids: Collection[int],
) -> list[list[Continuation]]:  # fmt: skip
    prompts = [[model.config.start_id]] * len(input_ids)
    check_prompts(prompts, model.config.max_len)
    limit = settings.limit(1, model.config.max_len)
    n_ends = len(set(ends))
    steps = FastSteps(
        model, input_ids, attention_mask, num_beams=settings.num_beams, limit=limit, banned_ids=banned_ids,
        n_best=n_candidates(settings, n_ends) + (n_ends if settings.min_new_tokens else 0),
    )  # fmt: skip
    with torch.inference_mode():
        return search(steps, prompts, [limit] * len(prompts), settings, eos_ids=ends)


def decode_seq2seq(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor | None,
    settings: GenerationSettings,
    *,
    eos_ids: Collection[int] | None = None,
    banned_ids: Collection[int] = (),
    first_row: int = 0,
) -> Decoding:
    """The steps of `generate_seq2seq` without beams, one list of new tokens a step, `settings.n` rows for each source.

    Args and errors as there; `first_row` as in `hanmo.generation.decode`. Its `rows` begin with the start token.
    """
    if settings.form is not None:
        raise ConfigError("a form is for models that continue a text", where="form", remedy="Leave it out.")
    writer = _Writer(model, input_ids, attention_mask, banned_ids)
    prompts = [[model.config.start_id]] * (len(input_ids) * settings.n)
    ends = _own_ends(model) if eos_ids is None else eos_ids
    return Decoding(writer, prompts, settings, eos_ids=ends, fast=False, first_row=first_row)


class _Writer:
    """A decoder with its source, seen as a causal language model: what `Decoding` and `beam_search` ask of one.

    The source is encoded in the first pass; later ones find what they need of it in the cache.
    """

    def __init__(self, model: Any, input_ids: Tensor, attention_mask: Tensor | None, banned_ids: Collection[int] = ()):
        max_len = model.config.max_len
        self.config = SimpleNamespace(max_len=_NO_LIMIT if max_len is None else max_len)
        self._model = model
        self._banned = sorted(banned_ids)
        self._source = {"input_ids": input_ids, "attention_mask": attention_mask}

    @property
    def training(self) -> bool:
        return self._model.training

    def train(self) -> None:
        self._model.train()

    def eval(self) -> None:
        self._model.eval()

    def parameters(self) -> Iterator[Tensor]:
        return self._model.parameters()

    def new_cache(self, batch: int, max_len: int | None = None) -> Any:
        return self._model.new_cache(batch, max_len)

    def __call__(self, input_ids: Tensor, *, past_key_values: Any, **_: Any) -> CausalLMOutput:
        # All rows start from one token and grow together: there is no padding that masks or positions could speak of.
        source = {} if past_key_values.length else self._source
        logits = self._model(decoder_input_ids=input_ids, past_key_values=past_key_values, **source).logits
        if self._banned:
            logits[..., self._banned] = -torch.inf
        return CausalLMOutput(logits=logits)


def _own_ends(model: Any) -> tuple[int, ...]:
    ids = model.config.eos_id
    return () if ids is None else (ids,) if isinstance(ids, int) else tuple(ids)
