"""Sentences drawn from a model, word by word."""

from __future__ import annotations

import re

import numpy as np

from hanmo.core.errors import ConfigError
from hanmo.ngrams.marks import END, N_MARKS, UNKNOWN
from hanmo.ngrams.model import NgramModel
from hanmo.ngrams.units import SPACE

__all__ = ["join_words", "sample"]

_NO_SPACE = r"\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65"
_BETWEEN = re.compile(rf"(?<=[{_NO_SPACE}]) | (?=[{_NO_SPACE}])")


def sample(model: NgramModel, prompt: str, *, max_words: int, temperature: float, seed: int) -> str:
    """Write the rest of a sentence (`NgramModel.sample`)."""
    if max_words < 1:
        raise ConfigError(f"max_words must be >= 1, got {max_words}")
    if not 0 <= temperature < float("inf"):
        raise ConfigError(f"temperature must be a number from 0 on, got {temperature}")
    if not 0 <= seed < 2**64:
        raise ConfigError(f"a seed is between 0 and 2**64 - 1, got {seed}", where="seed")
    rng = np.random.default_rng(seed)
    numbers = model.numbers([prompt.replace("\n", " ")])[0].tolist()
    state = model.automaton.begin
    for number in numbers:
        _, state = model.step(state, number)
    n_given = len(numbers)
    while len(numbers) < n_given + max_words:
        logs = model.distribution(state)
        logs[UNKNOWN] = -np.inf
        if temperature == 0:
            number = int(logs.argmax())
        else:
            weights = 10.0 ** ((logs - logs.max()) / temperature)
            sums = np.cumsum(weights)
            number = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        if number == END:
            break
        numbers.append(number)
        _, state = model.step(state, number)
    return prompt + _continue(model, prompt, numbers[n_given:])


def _continue(model: NgramModel, prompt: str, numbers: list[int]) -> str:
    if model.unit == "token" and model.tokenizer is not None:
        return model.tokenizer.decode([number - N_MARKS for number in numbers])
    words = [model.words[number] for number in numbers]
    if model.unit == "character":
        return "".join(words).replace(SPACE, " ")
    if not prompt or not words:
        return join_words(words)
    return join_words([prompt[-1], *words])[1:]


def join_words(words: list[str]) -> str:
    """Words with spaces between them, but not beside Chinese ones."""
    return _BETWEEN.sub("", " ".join(words))
