"""Chinese words by a hidden Markov model of characters: each begins a word (B), is in its middle (M), ends it (E) or is
one by itself (S).

The model of the SIGHAN bakeoffs' first taggers (Xue, 2003) in its generative form: P(tags, text) is the product of
P(tag | tag before) and P(character | tag). Training is counting in segmented text; the best tags are found by Viterbi's
algorithm (Rabiner, 1989, §III.B), with sums of logarithms in place of products.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanmo.core.errors import DataError

__all__ = ["HmmSegmenter"]

_TAGS = "BMES"
_BEFORE = {"B": "ES", "M": "BM", "E": "BM", "S": "ES"}
"""Which tags may stand before a tag; B and S also begin a text."""
_ALPHA = 0.01
"""Added to each count of a character, so that none is impossible under any tag."""


class HmmSegmenter:
    """Cuts Chinese by tags of its characters; knows no words, so it finds new ones.

    Args:
        transitions: how often a tag follows another: "BE" → count; "^" is the beginning of a text.
        emissions: tag → character → count.
    """

    def __init__(self, transitions: Mapping[str, int], emissions: Mapping[str, Mapping[str, int]]):
        self.transitions, self.emissions = dict(transitions), {tag: dict(emissions[tag]) for tag in _TAGS}
        leaving = {before: sum(self.transitions.get(before + tag, 0) for tag in _TAGS) for before in "^" + _TAGS}

        def log_transition(before: str, tag: str) -> float:
            # one more of each of the two that are possible
            return math.log((self.transitions.get(before + tag, 0) + 1) / (leaving[before] + 2))

        self._start = {tag: log_transition("^", tag) for tag in "BS"}
        self._arcs = {tag: [(before, log_transition(before, tag)) for before in _BEFORE[tag]] for tag in _TAGS}
        characters = set().union(*self.emissions.values())
        totals = {tag: sum(self.emissions[tag].values()) + _ALPHA * (len(characters) + 1) for tag in _TAGS}
        self._emissions = {
            character: tuple(math.log((self.emissions[tag].get(character, 0) + _ALPHA) / totals[tag]) for tag in _TAGS)
            for character in characters
        }
        self._unknown = tuple(math.log(_ALPHA / totals[tag]) for tag in _TAGS)

    @classmethod
    def train(cls, sentences: Iterable[Sequence[str]]) -> HmmSegmenter:
        """Count tags and characters.

        Args:
            sentences: the words of each.

        Raises:
            DataError: if there is no word.
        """
        transitions: Counter[str] = Counter()
        emissions: dict[str, Counter[str]] = {tag: Counter() for tag in _TAGS}
        for words in sentences:
            before = "^"
            for word in words:
                for character, tag in zip(word, _tags(len(word)), strict=True):
                    transitions[before + tag] += 1
                    emissions[tag][character] += 1
                    before = tag
        if not transitions:
            raise DataError("there is no word to learn from", where="sentences")
        return cls(transitions, emissions)

    def tag(self, text: str) -> str:
        """The most probable tag of each character: "BES" for 我们的 as 我们 · 的."""
        if not text:
            return ""
        # score[tag]: log-probability of the best tags up to here that end with it; came[i][tag]: the tag before it
        first = dict(zip(_TAGS, self._emissions.get(text[0], self._unknown), strict=True))
        score = {tag: self._start[tag] + first[tag] if tag in self._start else -math.inf for tag in _TAGS}
        came: list[dict[str, str]] = []
        for character in text[1:]:
            emitted = self._emissions.get(character, self._unknown)
            best: dict[str, str] = {}
            new: dict[str, float] = {}
            for tag, log_emission in zip(_TAGS, emitted, strict=True):
                (one, p_one), (two, p_two) = self._arcs[tag]
                by_one, by_two = score[one] + p_one, score[two] + p_two
                best[tag], arrived = (one, by_one) if by_one >= by_two else (two, by_two)
                new[tag] = arrived + log_emission
            came.append(best)
            score = new
        tag = max("ES", key=score.__getitem__)  # a text ends where a word ends
        if score[tag] == -math.inf:  # a single character can only be a word
            tag = "S"
        tags = [tag]
        for best in reversed(came):
            tag = best[tag]
            tags.append(tag)
        return "".join(reversed(tags))

    def cut(self, text: str) -> list[str]:
        """The words of a stretch of Chinese."""
        words, start = [], 0
        for end, tag in enumerate(self.tag(text), 1):
            if tag in "ES":
                words.append(text[start:end])
                start = end
        return words

    def to_dict(self) -> dict[str, Any]:
        """The counts, as JSON takes them."""
        return {"transitions": self.transitions, "emissions": self.emissions}


def _tags(length: int) -> str:
    return "S" if length == 1 else "B" + "M" * (length - 2) + "E"
