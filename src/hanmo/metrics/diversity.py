"""How varied generated text is: distinct-n, and the share of n-grams that repeat."""

from __future__ import annotations

from collections.abc import Iterable

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_texts
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.units import units_of

__all__ = ["distinct_n", "repetition_examples"]


def _ngrams(text: str, n: int) -> list[tuple[str, ...]]:
    units = units_of(text)
    return [tuple(units[i : i + n]) for i in range(len(units) - n + 1)]


def _checked(texts: Iterable[str], n: int) -> list[str]:
    if n < 1:
        raise ConfigError(f"n must be at least 1, got {n}", where="n")
    given = as_list(texts, "texts")
    check_texts(given, "texts")
    if not given:
        raise DataError("there are no texts to look at", where="texts")
    return given


def distinct_n(texts: Iterable[str], n: int = 2) -> float:
    """Different n-grams among all n-grams of all texts together, 0..1 (Li et al., 2016); falls with their number.

    Args:
        texts: generated texts; Chinese counts by character, other text by word.
        n: length of the n-grams.

    Raises:
        DataError: for no texts, or none long enough for one n-gram.
    """
    ngrams = [ngram for text in _checked(texts, n) for ngram in _ngrams(text, n)]
    if not ngrams:
        raise DataError(f"no text has {n} words or characters", where="texts", remedy="Take a smaller n.")
    return len(set(ngrams)) / len(ngrams)


def repetition_examples(texts: Iterable[str], n: int = 4) -> PerExample:
    """Share of n-grams that occurred before in the same text (Welleck et al., 2020, seq-rep-n), mean over texts.

    0 is no repetition, a loop comes close to 1; a text too short for one n-gram repeats nothing. Arguments as
    `distinct_n`.
    """
    shares = []
    for text in _checked(texts, n):
        ngrams = _ngrams(text, n)
        shares.append(1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0)
    return mean_of(shares, f"repetition-{n}")
