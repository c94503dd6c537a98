"""Beam search: keep the best few beginnings of a text and continue all of them (Graves, 2012; Wu et al., 2016, §7).

Which hypotheses end, count and are given back is decided as `transformers` does. Shapes: P prompts, K beams, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from hanmo.core.errors import ModelError
from hanmo.generation.decoding import check_prompts
from hanmo.generation.rules import NOTHING, keep_rules
from hanmo.generation.sampling import penalise_repetition
from hanmo.generation.settings import TextRules
from hanmo.nn.cache import GrowingCache, StaticCache
from hanmo.nn.evaluating import evaluating

__all__ = [
    "BeamSettings", "Best", "Continuation", "SelectableCache", "Steps", "beam_search", "n_candidates", "search",
]  # fmt: skip


class BeamSettings(TextRules):
    """How to search for the most probable text."""

    num_beams: int = Field(default=4, ge=2, le=1024)
    """Beginnings that are kept at each step."""
    n: int = Field(default=1, ge=1, le=1024)
    """Texts for each prompt, best first; at most num_beams."""
    length_penalty: float = Field(default=1.0, ge=-10.0, le=10.0)
    """The log-probability of a text is divided by its length to this power: above 0 favours long texts, below 0 short
    ones."""
    early_stopping: bool | Literal["never"] = False
    """When to stop: true, as soon as num_beams texts have ended; false, when the best beginning is worse than they are
    at its present length; "never", only when it would be worse at any length."""
    renormalize_logits: bool = False
    """Whether what may not come is taken out of the probabilities: then those of the others sum to 1 again."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.n > self.num_beams:
            raise ValueError(f"n = {self.n} texts cannot come from num_beams = {self.num_beams}")
        return self


@dataclass(frozen=True)
class Continuation:
    """One text that a model gave."""

    tokens: list[int]
    """Without the prompt and without the end token."""
    finish_reason: Literal["stop", "length"]
    """Whether an end token or the limit ended it."""
    score: float | None = None
    """Of a beam search: log-probability / length ** length_penalty, the end token included."""


class SelectableCache(Protocol):
    """What beam search needs of a cache besides attention's needs."""

    def select(self, rows: Tensor) -> None:
        """Make the i-th row a copy of what is now row `rows[i]`."""
        ...


@dataclass(frozen=True)
class Best:
    """The most probable next tokens of some rows, best first: all that a search needs to know of a vocabulary."""

    logprobs: Tensor
    """(N, C) float32; -inf where there are no more."""
    tokens: Tensor
    """(N, C) int64."""


class Steps(Protocol):
    """Runs a model on all beams at once."""

    @property
    def device(self) -> torch.device: ...
    def first(self) -> Tensor | Best:
        """Scores of all next tokens after the prompts, (P, V), or the best of them."""
        ...

    def next(self, rows: Tensor, tokens: Tensor) -> Tensor | Best:
        """The same for N rows, where row i goes on from what was row `rows[i]` with `tokens[i]`."""
        ...


def beam_search(
    model: Any,
    prompts: Sequence[Sequence[int]],
    settings: BeamSettings,
    *,
    eos_ids: Collection[int] = (),
    banned_ids: Collection[int] = (),
    cache: SelectableCache | None = None,
) -> list[list[Continuation]]:
    """The best continuations of each prompt; rows do not influence each other.

    Args:
        model: a causal language model; put in evaluation mode meanwhile.
        prompts: token ids of each row, of any lengths.
        settings: `n` says how many continuations of each.
        eos_ids: tokens that end a text.
        banned_ids: tokens that are never chosen.
        cache: an empty cache of the model's kind whose rows can be chosen; made if None.

    Returns:
        For each prompt `n` continuations, best first; fewer only if there are no more texts at all.

    Raises:
        ConfigError: for an empty prompt, or one that leaves no room in the model's context.
        ModelError: if the model gave NaN.
    """
    if not prompts:
        return []
    max_len = model.config.max_len
    check_prompts(prompts, max_len)
    limits = [settings.limit(len(prompt), max_len) for prompt in prompts]
    with evaluating(model), torch.inference_mode():
        steps = _Steps(model, prompts, _empty_cache(model, len(prompts)) if cache is None else cache)
        return search(steps, prompts, limits, settings, eos_ids=eos_ids, banned_ids=banned_ids)


def _empty_cache(model: Any, n_rows: int) -> SelectableCache:
    """One whose rows can be chosen: those of a static cache stay where they are."""
    cache = model.new_cache(n_rows, 1)
    return GrowingCache() if isinstance(cache, StaticCache) else cache


class _Steps:
    """Runs the model on all beams at once. Prompts are padded on the left, so that all rows grow on the right."""

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], cache: SelectableCache):
        self.device = next(model.parameters()).device
        longest = max(len(prompt) for prompt in prompts)
        self._model, self._cache = model, cache
        self._ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=self.device)
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._mask = torch.tensor(mask, device=self.device)

    def first(self) -> Tensor:
        """Scores after the prompts, (P, V)."""
        self._positions = (self._mask.cumsum(-1) - 1).clamp(min=0)
        return self._run(self._ids)

    def next(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """Row i goes on from what was row `rows[i]` with `tokens[i]`; scores (N, V)."""
        if len(rows) != len(self._mask) or not torch.equal(rows, torch.arange(len(rows), device=self.device)):
            self._cache.select(rows)
        self._mask = torch.cat((self._mask[rows], torch.ones_like(rows)[:, None]), dim=1)
        self._positions = self._positions[rows, -1:] + 1
        return self._run(tokens[:, None])

    def _run(self, ids: Tensor) -> Tensor:
        out = self._model(
            ids,
            attention_mask=self._mask,
            position_ids=self._positions,
            past_key_values=self._cache,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()


class _Row:
    """The hypotheses of one prompt that have ended, best first, and whether the search for more goes on."""

    def __init__(self, limit: int, settings: BeamSettings):
        self.ended: list[Continuation] = []
        self.limit = limit
        self._settings = settings

    def add(self, tokens: list[int], logprob: float, *, stopped: bool) -> None:
        """An ended text with its end token, if it has one."""
        score = logprob / len(tokens) ** self._settings.length_penalty
        text = Continuation(tokens[:-1] if stopped else tokens, "stop" if stopped else "length", score)
        self.ended.append(text)

    def settle(self) -> None:
        """Keep the best."""
        self.ended.sort(key=lambda text: -(text.score or 0.0))  # stable: the earlier one first
        del self.ended[self._settings.num_beams :]

    def goes_on(self, length: int, best: float) -> bool:
        """Whether beginnings of `length` tokens, the best of them with log-probability `best`, may still matter."""
        s = self._settings
        if best == -math.inf or length >= self.limit:
            return False
        if len(self.ended) < s.num_beams:
            return True
        if s.early_stopping is True:
            return False
        if s.early_stopping == "never" and s.length_penalty > 0:
            length = self.limit
        worst = self.ended[-1].score
        assert worst is not None
        return best / length**s.length_penalty > worst


def n_candidates(settings: BeamSettings, n_ends: int) -> int:
    """How many next tokens are enough for num_beams that go on, even if all others end."""
    return max(2, 1 + n_ends) * settings.num_beams


def search(
    steps: Steps,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    settings: BeamSettings,
    *,
    eos_ids: Collection[int] = (),
    banned_ids: Collection[int] = (),
) -> list[list[Continuation]]:
    """`beam_search` over steps, however they are computed; `limits` are the most new tokens of each prompt.

    Steps that give only the best tokens of a row give at least `n_candidates` (and the end tokens besides, where these may not
    come yet), and take no heed of repetitions and other rules (`TextRules`).
    """
    k, device = settings.num_beams, steps.device
    rows = [_Row(limit, settings) for limit in limits]
    ends = torch.tensor(sorted(set(eos_ids)), dtype=torch.int64, device=device)
    banned = sorted(banned_ids)
    longest = max(len(prompt) for prompt in prompts)
    padded = [[NOTHING] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    # Of the prompts that are still open (G of them): history (G, K', tokens) and log-probability (G, K') of their beams.
    # At first each has one beam, K' = 1.
    history = torch.tensor(padded, device=device)[:, None]
    scores = torch.zeros(len(prompts), 1, device=device)
    open_rows = list(rows)
    given = steps.first()
    length = 0
    while True:
        length += 1
        held_back = ends if length <= settings.min_new_tokens else ends[:0]
        at_limit = torch.tensor([row.limit == length for row in open_rows], device=device)
        if isinstance(given, Best):
            logp = _checked(given.logprobs).masked_fill(torch.isin(given.tokens, held_back), -math.inf)
        else:
            last = at_limit.repeat_interleave(scores.shape[1])
            logp = _logprobs(given, history.flatten(0, 1), settings, held_back, banned, first=length == 1, last=last)
        n_beams, width = scores.shape[1], logp.shape[-1]
        total = (scores[:, :, None] + logp.unflatten(0, (-1, n_beams))).flatten(1)  # (G, K' V)
        found = total.topk(min(n_candidates(settings, len(ends)), total.shape[1]))
        beams, tokens = found.indices // width, found.indices % width  # (G, C) each
        if isinstance(given, Best):
            tokens = given.tokens.view(total.shape).gather(1, found.indices)
        is_end = torch.isin(tokens, ends)
        over = is_end | at_limit[:, None] | found.values.isneginf()
        _collect(open_rows, history[:, :, longest:], found.values, beams, tokens, is_end, over, k)
        going = found.values.masked_fill(over, -math.inf)
        if going.shape[1] < k:  # so small a vocabulary that there are not k yet
            going = torch.nn.functional.pad(going, (0, k - going.shape[1]), value=-math.inf)
        scores, order = going.topk(k)  # (G, K)
        order = order.clamp(max=found.values.shape[1] - 1)
        bests = scores[:, 0].tolist()
        keep = [i for i, row in enumerate(open_rows) if row.goes_on(length, bests[i])]
        if not keep:
            return [row.ended[: settings.n] for row in rows]
        kept = torch.tensor(keep, device=device)
        beams, tokens = beams[kept].gather(1, order[kept]), tokens[kept].gather(1, order[kept])
        old = history[kept].gather(1, beams[:, :, None].expand(-1, -1, history.shape[2]))
        history = torch.cat((old, tokens[:, :, None]), dim=2)
        scores = scores[kept]
        open_rows = [open_rows[i] for i in keep]
        given = steps.next((kept[:, None] * n_beams + beams).flatten(), tokens.flatten())


def _collect(
    rows: Sequence[_Row],
    written: Tensor,
    logprobs: Tensor,
    beams: Tensor,
    tokens: Tensor,
    is_end: Tensor,
    over: Tensor,
    k: int,
) -> None:
    """Hand each row what has ended among its k best candidates; those below are there only to go on from."""
    ended = over[:, :k] & logprobs[:, :k].isfinite()
    for i, j in ended.nonzero().tolist():
        before = written[i, beams[i, j]].tolist()
        rows[i].add([*before, int(tokens[i, j])], float(logprobs[i, j]), stopped=bool(is_end[i, j]))
    for row in rows:
        row.settle()


def _checked(logp: Tensor) -> Tensor:
    if bool(logp.isnan().any()):
        raise ModelError(
            "the model's output is not a number (NaN or infinite logits)",
            remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
        )
    return logp


def _logprobs(
    logits: Tensor,
    history: Tensor,
    settings: BeamSettings,
    held_back: Tensor,
    banned: Sequence[int],
    *,
    first: bool,
    last: Tensor,
) -> Tensor:
    """(N, V) → (N, V), with what the settings make less likely or forbid."""
    logp = _checked(logits.log_softmax(dim=-1))
    if settings.repetition_penalty != 1.0:
        # a token counts once however often it is there, so the last one may stand for padding, too
        seen = torch.where(history == NOTHING, history[:, -1:], history)
        logp = penalise_repetition(logp, seen, settings.repetition_penalty)
    logp[:, banned] = -math.inf
    logp = keep_rules(logp, history, settings, held_back=held_back, first=first, last=last)
    if settings.renormalize_logits:
        some = logp.isfinite().any(dim=-1, keepdim=True)  # a row without any stays as it is
        logp = torch.where(some, logp.log_softmax(dim=-1), logp)
    return logp
