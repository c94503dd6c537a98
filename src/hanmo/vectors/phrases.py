"""Words that stand together more often than by chance become one word: "new york" -> "new_york"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.word_ids import WordIds

__all__ = ["Phrases", "find_phrases"]

_BLOCK = 2**22
"""Pairs that are sorted at a time."""


@dataclass(frozen=True, eq=False)
class Phrases:
    """Pairs of words that are joined."""

    scores: dict[tuple[str, str], float]
    """Score of each pair, by falling score."""
    joiner: str
    """What stands between the two words of a joined one; "" suits Chinese."""

    def join(self, text: WordIds) -> WordIds:
        """The text with every pair joined, from left to right; its vocabulary is counted anew.

        Joining the result again, with phrases found in it, gives phrases of up to four words. Another text than the one
        they were found in is joined alike.
        """
        index = {word: number for number, word in enumerate(text.words)}
        n_words = np.int64(len(text.words))
        pairs = [pair for pair in self.scores if pair[0] in index and pair[1] in index]
        keys = np.array([index[one] * n_words + index[other] for one, other in pairs], np.int64)
        order = np.argsort(keys)
        words = list(text.words)
        numbers = np.zeros(len(pairs), np.int32)
        for place in order:
            joined = self.joiner.join(pairs[place])
            numbers[place] = index.setdefault(joined, len(words))
            if numbers[place] == len(words):
                words.append(joined)
        ids, ends = np.empty_like(text.ids), np.empty_like(text.ends)
        n = _join(text.ids, text.ends, keys[order], numbers[order], n_words, ids, ends)
        ids = ids[:n]
        known = ids[ids >= 0]
        counts = np.bincount(known, minlength=len(words))
        first = np.full(len(words), len(ids))
        np.minimum.at(first, known, np.flatnonzero(ids >= 0))
        ranking = np.lexsort((first, -counts))
        ranking = ranking[counts[ranking] > 0]
        rank = np.full(len(words) + 1, -1, np.int32)  # -1, a word outside the vocabulary, is the last
        rank[ranking] = np.arange(len(ranking))
        return WordIds(tuple(words[i] for i in ranking), counts[ranking], rank[ids], ends, text.n_read)


def find_phrases(text: WordIds, *, min_count: int = 5, threshold: float = 100.0, joiner: str = "_") -> Phrases:
    """Find the pairs to join (Mikolov et al., 2013b, eq. 6).

    score(a, b) = (count(a b) - min_count) / (count(a) count(b)) x the number of words in the text; the last factor,
    which is in word2phrase.c and not in the paper, makes thresholds alike for long and short texts.

    Args:
        text: sentences; pairs do not go over their ends, nor over a place of -1.
        min_count: rarer pairs are none, and what is taken off each count.
        threshold: lowest score.
        joiner: what stands between the two words.

    Raises:
        ConfigError: for a min_count below 1.
        DataError: for a text without words.
    """
    if min_count < 1:
        raise ConfigError(f"min_count must be >= 1, got {min_count}")
    if not len(text.ids):
        raise DataError("there are no words in this text")
    n_words = len(text.words)
    keys, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    at_end = np.zeros(len(text.ids) + 1, bool)
    at_end[text.ends] = True
    for low in range(0, len(text.ids) - 1, _BLOCK):
        high = min(low + _BLOCK, len(text.ids) - 1)
        one, other = text.ids[low:high].astype(np.int64), text.ids[low + 1 : high + 1]
        pairs = (one * n_words + other)[(one >= 0) & (other >= 0) & ~at_end[low + 1 : high + 1]]
        new, new_counts = np.unique(pairs, return_counts=True)
        both, places = np.unique(np.concatenate([keys, new]), return_inverse=True)
        total = np.zeros(len(both), np.int64)
        np.add.at(total, places, np.concatenate([counts, new_counts]))
        keys, counts = both, total
    keys, counts = keys[counts >= min_count], counts[counts >= min_count]
    one, other = keys // n_words, keys % n_words
    scores = (counts - min_count) / (text.counts[one].astype(np.float64) * text.counts[other]) * text.counts.sum()
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > threshold]
    found = {(text.words[one[i]], text.words[other[i]]): float(scores[i]) for i in order}
    return Phrases(found, joiner)


@compiled()
def _join(
    ids: np.ndarray,
    ends: np.ndarray,
    keys: np.ndarray,
    numbers: np.ndarray,
    n_words: int,
    out: np.ndarray,
    ends_out: np.ndarray,
) -> int:
    """Join the pairs `keys` (rising, first n_words + second) into `numbers`; the number of words that are left."""
    n = i = 0
    for s in range(len(ends) + 1):
        end = ends[s] if s < len(ends) else len(ids)
        while i < end:
            out[n] = ids[i]
            if i + 1 < end and ids[i] >= 0 and ids[i + 1] >= 0:
                key = ids[i] * np.int64(n_words) + ids[i + 1]
                place = np.searchsorted(keys, key)
                if place < len(keys) and keys[place] == key:
                    out[n] = numbers[place]
                    i += 1
            i += 1
            n += 1
        if s < len(ends):
            ends_out[s] = n
    return n
