"""Interpolated modified Kneser–Ney as the paper writes it: dictionaries and plain Python, to be read and tested against.

Chen and Goodman (1998), "An Empirical Study of Smoothing Techniques for Language Modeling", §4.1.6, with what Heafield
et al. (2013), "Scalable Modified Kneser-Ney Language Model Estimation", §3, fix besides: n-grams that begin a sentence
keep their plain counts, words are interpolated with the uniform distribution, and the unknown word has its share of it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from hanmo.ngrams.discounts import Discounts, estimate_discounts
from hanmo.ngrams.marks import BEGIN, END

__all__ = ["PlainNgrams"]

Gram = tuple[int, ...]


class PlainNgrams:
    """A model of sentences of word numbers.

    Args:
        sentences: word numbers, without the marks of beginning and end.
        n_words: numbers are below it; the three marks count among them.
        order: longest n-gram.
        prune: n-grams that occur so often or less are left out, one number for each order.
        fallback: discounts where the counts do not give them.
    """

    def __init__(
        self,
        sentences: Iterable[Sequence[int]],
        n_words: int,
        order: int,
        prune: Sequence[int],
        fallback: tuple[float, float, float] = (0.5, 1.0, 1.5),
    ):
        self.n_words, self.order = n_words, order
        counts: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]  # [n]: of n-grams
        for sentence in sentences:
            text = (BEGIN, *sentence, END)
            for n in range(1, order + 1):
                for i in range(n, len(text) + 1):
                    if n > 1 or text[i - 1] != BEGIN:  # <s> is given, never predicted
                        counts[n][text[i - n : i]] += 1
        self.discounts: list[Discounts] = []
        self.kept: list[dict[Gram, float]] = []  # [n - 1]: n-gram → its own share of the probability
        self.backoff: dict[Gram, float] = {}  # context → what is left for the shorter context
        for n in range(1, order + 1):
            adjusted = self._adjusted(counts, n)
            discounts = estimate_discounts([sum(a == k for a in adjusted.values()) for k in range(1, 5)], fallback)
            total: defaultdict[Gram, int] = defaultdict(int)
            left: defaultdict[Gram, float] = defaultdict(float)
            for gram, a in adjusted.items():
                is_kept = counts[n][gram] > prune[n - 1]
                total[gram[:-1]] += a
                left[gram[:-1]] += discounts.of(a) if is_kept else a
            self.kept.append(
                {
                    gram: (a - discounts.of(a)) / total[gram[:-1]]
                    for gram, a in adjusted.items()
                    if counts[n][gram] > prune[n - 1]
                }
            )
            self.backoff |= {context: left[context] / total[context] for context in total}
            self.discounts.append(discounts)

    def _adjusted(self, counts: list[Counter[Gram]], n: int) -> dict[Gram, int]:
        """a(g): how often it occurs where it is longest or begins a sentence, else how many words stand before it."""
        if n == self.order:
            return dict(counts[n])
        before: Counter[Gram] = Counter(gram[1:] for gram in counts[n + 1])
        return {gram: count if gram[0] == BEGIN else before[gram] for gram, count in counts[n].items()}

    def p(self, word: int, context: Gram = ()) -> float:
        """p(word | context) = u(word | context) + b(context) · p(word | context without its first word)."""
        context = context[max(0, len(context) - self.order + 1) :]
        if not context:
            return self.kept[0].get((word,), 0.0) + self.backoff[()] / (self.n_words - 1)
        share = self.kept[len(context)].get((*context, word), 0.0)
        return share + self.backoff.get(context, 1.0) * self.p(word, context[1:])

    def log10(self, sentence: Sequence[int]) -> list[float]:
        """log10 p of each word of a sentence and of its end."""
        text = (BEGIN, *sentence, END)
        return [math.log10(self.p(text[i], text[:i])) for i in range(1, len(text))]
