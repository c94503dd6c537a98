"""Summaries without training: the first sentences, or those that TextRank finds central. What a summariser has to beat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hanmo.metrics.units import has_han, units_of
from hanmo.text.segment import segment
from hanmo.text.sentences import sentences
from hanmo.text.stop_words import is_stop_word

__all__ = ["lead", "sentence_graph", "textrank", "textrank_scores", "together"]

_DAMPING = 0.85
_TOLERANCE = 1e-6
_ROUNDS = 200


def lead(text: str, n: int) -> str:
    """The first n sentences."""
    return together(sentences(text)[:n])


def textrank(text: str, n: int) -> str:
    """The n sentences that are most like the others (Mihalcea & Tarau, 2004, §4), in the order of the text."""
    found = sentences(text)
    scores = textrank_scores(sentence_graph(found))
    best = np.argsort(-scores, kind="stable")[:n]
    return together([found[place] for place in sorted(best.tolist())])


def sentence_graph(texts: Sequence[str]) -> NDArray[np.float64]:
    """How like each other sentences are: words in common over log lengths (§4.1), (N, N), zeros on the diagonal.

    Chinese is cut into words; words that say nothing (stop words) do not count.
    """
    words = [_words(text) for text in texts]
    graph = np.zeros((len(texts), len(texts)))
    for i in range(len(texts)):
        for j in range(i):
            common = len(words[i] & words[j])
            size = math.log(max(1, len(words[i]))) + math.log(max(1, len(words[j])))
            graph[i, j] = graph[j, i] = common / size if size > 0 else 0.0
    return graph


def textrank_scores(graph: NDArray[np.float64]) -> NDArray[np.float64]:
    """Importance of each node of an undirected weighted graph, (N, N) → (N,): eq. 2 of the paper, iterated until it stands.

    A node without edges gets 1 - d.
    """
    totals = graph.sum(axis=0)
    flow = np.divide(graph, totals, out=np.zeros_like(graph), where=totals > 0)  # column j: where node j votes
    scores = np.ones(len(graph))
    for _ in range(_ROUNDS):
        after = 1 - _DAMPING + _DAMPING * (flow @ scores)
        if float(np.abs(after - scores).max(initial=0.0)) < _TOLERANCE:
            return after
        scores = after
    return scores


def _words(text: str) -> set[str]:
    words = segment(text.lower()) if has_han(text) else units_of(text)
    return {word for word in words if any(map(str.isalnum, word)) and not is_stop_word(word)}


def together(found: Sequence[str]) -> str:
    """Sentences as one text; Chinese has no blanks between them."""
    stripped = [sentence.strip() for sentence in found]
    return ("" if any(map(has_han, stripped)) else " ").join(stripped)
