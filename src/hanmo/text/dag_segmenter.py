"""Chinese words by a dictionary with frequencies: the way jieba does it, written to be read.

All words of the dictionary that occur in a text make a directed acyclic graph: its nodes are the places between
characters, its edges the words. The segmentation is the path whose words have the largest product of probabilities,
found from the end backwards by dynamic programming. Runs of single characters that are no common words by themselves go
to the hidden Markov model of `hmm_segmenter`, which finds words that no dictionary has.

No dictionary comes with it: it is trained on segmented text, or on text that jieba cut. For work, `segment` is faster.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import read_json, write_json
from hanmo.text.hmm_segmenter import HmmSegmenter
from hanmo.text.segment import segment_with

__all__ = ["DagSegmenter"]

_FORMAT = "hanmo-dag-segmenter-1"
_COMMON = 5e-4
"""Share of all words from which a word of one character (的, 了, 在) is not taken for a part of an unknown word."""


class DagSegmenter:
    """Cuts Chinese by the most probable path through the words of a dictionary, the rest by a hidden Markov model.

    >>> segmenter = DagSegmenter({"北京": 40, "大学": 30, "北京大学": 20, "大学生": 10, "生": 5})
    >>> segmenter.segment("北京大学生")
    ['北京', '大学生']

    Args:
        counts: word → how often it occurs.
        hmm: cuts what has no word in the dictionary; None leaves it in single characters.

    Raises:
        DataError: if there is no word, or a count is not positive.
    """

    def __init__(self, counts: Mapping[str, int], hmm: HmmSegmenter | None = None):
        if not counts:
            raise DataError("the dictionary has no word", where="counts")
        wrong = next((word for word, count in counts.items() if not word or count <= 0), None)
        if wrong is not None:
            raise DataError(f"the word {wrong!r} has the count {counts[wrong]}", where="counts")
        self.counts, self.hmm = dict(counts), hmm
        n_words = sum(counts.values())
        self._common = {word for word, count in counts.items() if len(word) == 1 and count >= _COMMON * n_words}
        self._log_total = math.log(n_words)
        self._log_counts = {word: math.log(count) for word, count in counts.items()}
        # every beginning of a word, so that the search for words stops where none goes on
        self._beginnings = {word[:end] for word in counts for end in range(1, len(word) + 1)}

    @classmethod
    def train(cls, sentences: Iterable[Sequence[str]]) -> DagSegmenter:
        """Count the words of segmented text, and train the hidden Markov model on it.

        Args:
            sentences: the words of each.
        """
        kept = [list(words) for words in sentences]
        counts = Counter(word for words in kept for word in words)
        return cls(counts, HmmSegmenter.train(kept))

    def segment(self, text: str) -> list[str]:
        """The words of a text; what is not Chinese is cut as `hanmo.text.segment.segment` does."""
        return segment_with(text, self.cut)

    def graph(self, text: str) -> list[list[int]]:
        """The words of the dictionary in a text: for each character, where the words that begin with it end.

        A character that begins no word is one by itself.
        """
        edges = []
        for start in range(len(text)):
            ends, end = [], start + 1
            while end <= len(text) and text[start:end] in self._beginnings:
                if text[start:end] in self.counts:
                    ends.append(end)
                end += 1
            edges.append(ends or [start + 1])
        return edges

    def path(self, text: str) -> list[str]:
        """The words along the most probable path through the graph."""
        edges = self.graph(text)
        # best[i]: log-probability of the best path from i to the end, and where its first word ends
        best: list[tuple[float, int]] = [(0.0, 0)] * (len(text) + 1)
        for start in range(len(text) - 1, -1, -1):
            best[start] = max(
                (self._log_counts.get(text[start:end], 0.0) - self._log_total + best[end][0], end)
                for end in edges[start]
            )
        words, start = [], 0
        while start < len(text):
            end = best[start][1]
            words.append(text[start:end])
            start = end
        return words

    def cut(self, text: str) -> list[str]:
        """The words of a stretch of Chinese: the path, with runs of rare single characters cut by the Markov model."""
        if self.hmm is None:
            return self.path(text)
        words: list[str] = []
        run = ""
        for word in self.path(text):
            if len(word) == 1 and word not in self._common:
                run += word
                continue
            words += self.hmm.cut(run)
            words.append(word)
            run = ""
        return words + self.hmm.cut(run)

    def save(self, path: str | Path) -> None:
        """Write dictionary and model as one JSON file."""
        hmm = None if self.hmm is None else self.hmm.to_dict()
        write_json(path, {"format": _FORMAT, "counts": self.counts, "hmm": hmm})

    @classmethod
    def load(cls, path: str | Path) -> DagSegmenter:
        """Read what `save` wrote.

        Raises:
            FormatError: if it is another file.
        """
        value: Any = read_json(path)
        if not isinstance(value, dict) or value.get("format") != _FORMAT:
            raise FormatError(f"this is not a segmenter (no format {_FORMAT!r})", where=path)
        try:
            hmm = None if value["hmm"] is None else HmmSegmenter(**value["hmm"])
            return cls(value["counts"], hmm)
        except (KeyError, TypeError, AttributeError) as error:
            raise FormatError("a part of this segmenter is missing or damaged", where=path) from error
