"""Answers without any training: what a model of answers must do better than."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

from hanmo.metrics.units import has_han, units_of

__all__ = ["overlap_answer", "overlap_answers"]

_LONGEST = 8
"""Units of an answer, at most; twice as many in Chinese, whose units are characters."""
_NEAR = 5.0
"""Units from the answer at which a word of the question counts half."""
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|[。！？；\n]")
_SIGN = re.compile(r"[^\w\s'’\-]|_")


def overlap_answer(question: str, context: str) -> str:
    """The stretch whose surroundings have most of the question in them.

    After the sliding window of Richardson et al. (2013, algorithm 1 and its distance), in the form of Rajpurkar et al.
    (2016, §5.1): a word that the text shares with the question weighs log(1 + 1 / its count in the text). An answer is
    worth what its sentence shares with the question, and what a window around it does, the nearer the more. No answers are
    given to choose from here: candidates are the runs of words between words of the question and signs. Chinese counts by
    characters.

    Returns:
        A part of the text; "" if it has no word.
    """
    units, sentences = _read(context)
    if not units:
        return ""
    counts = Counter(unit for unit, _, _ in units)
    asked = units_of(_lower(question))
    weights = {unit: math.log1p(1 / counts[unit]) for unit in asked if unit in counts}
    shared: defaultdict[int, dict[str, float]] = defaultdict(dict)
    for (unit, _, _), sentence in zip(units, sentences, strict=True):
        if unit in weights:
            shared[sentence][unit] = weights[unit]
    width = 2 * max(1, len(asked))
    best, chosen = -1.0, (0, len(units) - 1)
    for first, last in _runs(units, context, weights, _LONGEST * (2 if has_han(context) else 1)):
        score = sum(shared[sentences[first]].values())
        for place in range(max(0, first - width), min(len(units), last + 1 + width)):
            if (weight := weights.get(units[place][0])) is not None:
                score += weight / (1 + max(first - place, place - last) / _NEAR)
        if score > best:
            best, chosen = score, (first, last)
    return context[units[chosen[0]][1] : units[chosen[1]][2]]


def overlap_answers(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """`overlap_answer` for questions with their texts."""
    return [overlap_answer(question, context) for question, context in pairs]


@lru_cache(maxsize=16)
def _read(text: str) -> tuple[list[tuple[str, int, int]], list[int]]:
    """The units of a text, with where they begin and end, and the number of the sentence that each is in."""
    lower, start = _lower(text), 0
    units = []
    for unit in units_of(lower):
        start = lower.index(unit, start)
        units.append((unit, start, start + len(unit)))
        start += len(unit)
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return units, [bisect_right(ends, start) for _, start, _ in units]


def _lower(text: str) -> str:
    """Lower case of the same length, so that places stay those of the text."""
    return "".join(character.lower()[:1] for character in text)


def _runs(
    units: Sequence[tuple[str, int, int]], text: str, weights: dict[str, float], longest: int
) -> Iterator[tuple[int, int]]:
    """First and last unit of each candidate."""
    first: int | None = None
    for place, (unit, start, _) in enumerate(units):
        if first is not None and (
            unit in weights or place - first == longest or _SIGN.search(text[units[place - 1][2] : start])
        ):
            yield first, place - 1
            first = None
        if unit in weights:
            continue
        first = place if first is None else first
    if first is not None:
        yield first, len(units) - 1
