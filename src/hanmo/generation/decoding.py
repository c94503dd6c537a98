"""Token by token: several prompts at once, with a cache of keys and values."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.generation.fast import MAX_ROWS, FastRow
from hanmo.generation.packing import refusal
from hanmo.generation.rules import keep_rules
from hanmo.generation.sampling import choose, row_generator
from hanmo.generation.settings import GenerationSettings
from hanmo.nn.evaluating import evaluating

__all__ = ["Decoding", "FinishReason", "Rule", "check_prompts", "decode"]

FinishReason = Literal["stop", "length"]
FAST_FROM = 32
"""Fewest tokens asked for that are worth loading the compiled kernels (about half a second)."""


class Rule(Protocol):
    """What may come next in one row, as `hanmo.generation.token_forms.TokenRow`."""

    def allowed(self) -> Tensor: ...  # (V,) bool
    def push(self, token: int) -> None: ...
    @property
    def is_whole(self) -> bool: ...


class _Model(Protocol):
    """What decoding asks of a model besides calling it."""

    @property
    def config(self) -> Any: ...  # with max_len: positions it can hold
    def new_cache(self, batch: int, max_len: int | None = None) -> Any: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def parameters(self) -> Iterator[Tensor]: ...


def decode(
    model: _Model,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    *,
    eos_ids: Collection[int] = (),
    fast: bool = True,
    first_row: int = 0,
    rules: Sequence[Rule] | None = None,
) -> Decoding:
    """Continue each prompt; the result is iterated over, one list of new tokens (one a row, or None) a step.

    Args:
        model: a causal language model; put in evaluation mode while tokens are computed.
        prompts: token ids of each row, of any lengths.
        settings: `n` and `stop` are the caller's matter: give a prompt n times, call `finish(row)` at a stop string.
        eos_ids: a row ends where the model chooses one of these; it is not part of the output.
        fast: whether compiled kernels may be used where they know the model; they give the same tokens.
        first_row: number of the first row among all rows of this seed, where they come in several batches: row i of
            seed s draws the same whatever batch it is in.
        rules: what may come in each row; a row ends where nothing may. None: anything.

    Raises:
        ConfigError: for an empty prompt, or one that leaves no room in the model's context.
    """
    return Decoding(model, prompts, settings, eos_ids=eos_ids, fast=fast, first_row=first_row, rules=rules)


class Decoding(Iterator[list[int | None]]):
    """Iterates over steps; ends when every row has ended."""

    finish_reasons: list[FinishReason | None]
    """Per row: "stop" at an end-of-text token or by `finish`, "length" at `max_new_tokens` or the end of the
    context, None while it goes on."""

    def __init__(
        self,
        model: _Model,
        prompts: Sequence[Sequence[int]],
        settings: GenerationSettings,
        *,
        eos_ids: Collection[int] = (),
        fast: bool = True,
        first_row: int = 0,
        rules: Sequence[Rule] | None = None,
    ):
        """See `decode`."""
        max_len = model.config.max_len
        self.rows = [list(prompt) for prompt in prompts]
        self.finish_reasons = [None] * len(self.rows)
        check_prompts(self.rows, max_len)
        self.limits = [settings.limit(len(row), max_len) for row in self.rows]
        """Most new tokens of each row: what was asked for, or what the context has room for."""
        self._settings, self._eos_ids, self._rules = settings, frozenset(eos_ids), rules
        seed = int.from_bytes(os.urandom(7)) if settings.seed is None else settings.seed
        self._generators = [row_generator(seed, first_row + row) for row in range(len(self.rows))]
        self._prompt_lengths = [len(row) for row in self.rows]
        wanted = fast and max(self.limits, default=0) >= FAST_FROM and len(self.rows) <= MAX_ROWS
        self.fast = wanted and refusal(model) is None
        """Whether the compiled kernels compute the tokens."""
        self._steps = self._fast_steps(model) if self.fast else self._plain_steps(model)

    def __iter__(self) -> Decoding:
        return self

    def __next__(self) -> list[int | None]:
        return next(self._steps)

    def finish(self, row: int) -> None:
        """End a row now (a stop string was found)."""
        self.finish_reasons[row] = "stop"

    def close(self) -> None:
        """End all rows and free what they hold."""
        self._steps.close()

    def _take(self, row: int, token: int) -> int | None:
        """Add a token to a row, or end the row; returns what the step shows."""
        if token in self._eos_ids:
            self.finish_reasons[row] = "stop"
            return None
        self.rows[row].append(token)
        if self._rules is not None:
            self._rules[row].push(token)
            if self._rules[row].is_whole:
                self.finish_reasons[row] = "stop"
                return token
        if len(self.rows[row]) - self._prompt_lengths[row] >= self.limits[row]:
            self.finish_reasons[row] = "length"
        return token

    def _choose(self, row: int, logits: Tensor) -> int:
        """The next token of a row, from (V,) logits."""
        if self._rules is not None:
            logits = logits.masked_fill(~self._rules[row].allowed().to(logits.device), -torch.inf)
        if self._settings.forbids:
            logits = self._keep_rules(row, logits[None].float())[0]
        return choose(logits, self._settings, self._generators[row], self.rows[row])

    def _keep_rules(self, row: int, logits: Tensor) -> Tensor:
        n_new = len(self.rows[row]) - self._prompt_lengths[row]
        may_end = n_new >= self._settings.min_new_tokens
        held_back = torch.tensor([] if may_end else sorted(self._eos_ids), dtype=torch.int64, device=logits.device)
        return keep_rules(
            logits, torch.tensor([self.rows[row]], device=logits.device), self._settings, held_back=held_back,
            first=n_new == 0, last=torch.tensor([n_new + 1 == self.limits[row]], device=logits.device),
        )  # fmt: skip

    def _active(self) -> list[int]:
        return [row for row, reason in enumerate(self.finish_reasons) if reason is None]

    def _fast_steps(self, model: _Model) -> Any:
        engines = [
            FastRow(model, row, prompt_length + limit)
            for row, prompt_length, limit in zip(self.rows, self._prompt_lengths, self.limits, strict=True)
        ]
        settings = self._settings
        plain = settings.repetition_penalty == 1.0 and not settings.forbids and self._rules is None
        greedy = settings.temperature == 0.0 and plain
        while active := self._active():
            step: list[int | None] = [None] * len(self.rows)
            for row in active:
                engine = engines[row]
                if greedy:
                    token = engine.next_greedy()
                else:
                    token = self._choose(row, engine.next_logits(self.rows[row]))
                step[row] = self._take(row, token)
            if all(token is None for token in step):
                return
            yield step

    def _plain_steps(self, model: _Model) -> Any:
        if not self.rows:
            return
        lengths = self._prompt_lengths
        device = next(model.parameters()).device
        longest = max(lengths)
        total = longest + max(self.limits)
        cache = model.new_cache(len(self.rows), total)
        ragged = min(lengths) < longest
        # Prompts start at column 0; shorter ones are followed by holes that the mask hides, and every row counts its
        # own positions, so a row's result does not depend on its neighbours.
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in self.rows], device=device)
        mask = torch.ones(len(self.rows), total, dtype=torch.int64, device=device)
        for row, length in enumerate(lengths):
            mask[row, length:longest] = 0
        held = longest
        inputs: dict[str, Any] = {"input_ids": ids, "past_key_values": cache, "use_cache": True}
        if ragged:
            inputs["attention_mask"] = mask[:, :held]
        while True:
            with evaluating(model), torch.inference_mode():
                if held == longest and ragged:
                    ends = torch.tensor([length - 1 for length in lengths], device=device)
                    logits = _logits_at(model, inputs, ends)
                else:
                    logits = model(**inputs, logits_to_keep=1).logits[:, -1]
            step: list[int | None] = [None] * len(self.rows)
            for row in self._active():
                step[row] = self._take(row, self._choose(row, logits[row]))
            if all(token is None for token in step):
                return
            yield step
            if not self._active():
                return
            # An ended row goes on with its last token at its last position; nobody looks at what comes of it.
            last = [len(row) - 1 for row in self.rows]
            inputs = {
                "input_ids": torch.tensor([[row[-1]] for row in self.rows], device=device),
                "past_key_values": cache,
                "use_cache": True,
            }
            held += 1
            if ragged or len(set(last)) > 1:
                inputs["attention_mask"] = mask[:, :held]
                inputs["position_ids"] = torch.tensor([[position] for position in last], device=device)


def _logits_at(model: _Model, inputs: dict[str, Any], ends: Tensor) -> Tensor:
    """Logits of each row's own last prompt position, (B, V); only the columns where some row ends are computed."""
    columns, which = ends.unique(return_inverse=True)
    logits = model(**inputs, logits_to_keep=columns).logits
    return logits[torch.arange(len(ends), device=logits.device), which]


def check_prompts(rows: Sequence[Sequence[int]], max_len: int) -> None:
    """Each prompt must have a token and leave room for another.

    Raises:
        ConfigError: names the first that does not.
    """
    for number, row in enumerate(rows):
        if not row:
            raise ConfigError(
                f"prompt {number} has no tokens",
                where="prompts",
                remedy="Give at least one token, such as the end-of-text token.",
            )
        if len(row) >= max_len:
            raise ConfigError(
                f"prompt {number} has {len(row)} tokens; the model's context is {max_len}, with room for at most "
                f"{max_len - 1} of prompt and one new token",
                where="prompts",
                remedy="Shorten the prompt; nothing is cut without being asked.",
            )
