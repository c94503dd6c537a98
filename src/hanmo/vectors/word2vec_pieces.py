"""Which rows of word2vec's input matrix make up each word, when it learns pieces of words too."""

from __future__ import annotations

import numpy as np

from hanmo.core.errors import ConfigError
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.subwords import Subwords, find_pieces
from hanmo.vectors.word2vec_settings import SubwordSettings

__all__ = ["Pieces"]

_BLOCK_NUMBERS = 2**22
"""Numbers that are gathered in one go: 16 MiB of float32."""


class Pieces:
    """Rows of the input matrix that make up each word: one of its own, and behind those of all words one for each of its
    pieces.

    Args:
        text: its words.
        settings: how they are cut; None: not at all, and nothing is here.

    Raises:
        ConfigError: if no word has a piece, for which nothing could be learnt.
    """

    def __init__(self, text: WordIds, settings: SubwordSettings | None):
        self.settings = settings
        self.starts, self.rows = np.zeros(0, np.int64), np.zeros(0, np.int32)
        """Where the rows of each word begin, (V + 1,), and the rows."""
        self.buckets = np.zeros(0, np.int32)
        """Hash of each piece, rising, (P,)."""
        if settings is None:
            return
        starts, hashes = find_pieces(text.words, settings)
        if not len(hashes):
            longest = max(len(word) for word in text.words) + 1  # with one of the marks of its ends
            raise ConfigError(
                f"no word of this text has a piece of {settings.min_chars} characters or more",
                where="subwords.min_chars",
                remedy=f"Lower min_chars to {longest} or less, or leave sub-words out.",
            )
        self.buckets, numbers = np.unique(hashes, return_inverse=True)
        n_words = len(text.words)
        self.starts = starts + np.arange(n_words + 1)
        self.rows = np.zeros(len(hashes) + n_words, np.int32)
        own = self.starts[:-1]
        self.rows[own] = np.arange(n_words)
        others = np.ones(len(self.rows), bool)
        others[own] = False
        self.rows[others] = numbers + n_words

    def means(self, x: np.ndarray) -> np.ndarray:
        """The vector of each word, the mean of its rows of `x`: (V, D) float32."""
        n_words, dim = len(self.starts) - 1, x.shape[1]
        means = np.empty((n_words, dim), np.float32)
        first = 0
        while first < n_words:
            full = int(np.searchsorted(self.starts, self.starts[first] + _BLOCK_NUMBERS // dim, side="right")) - 1
            behind = min(max(full, first + 1), n_words)
            starts = self.starts[first : behind + 1]
            sums = np.add.reduceat(x[self.rows[starts[0] : starts[-1]]], starts[:-1] - starts[0])
            means[first:behind] = sums / np.diff(starts)[:, None]
            first = behind
        return means

    def begin_from(self, x: np.ndarray, words: np.ndarray, vectors: np.ndarray, subwords: Subwords | None) -> None:
        """Change `x` so that words have these vectors: by their own rows, whatever their pieces are.

        Args:
            x: input vectors, (V + P, D) float32.
            words: numbers of the words, (K,).
            vectors: theirs, (K, D).
            subwords: where these are of the same settings, pieces that they have are taken from them.
        """
        n_words = len(self.starts) - 1
        if subwords is not None and subwords.settings == self.settings:
            places = subwords.rows(self.buckets)
            x[n_words + np.flatnonzero(places >= 0)] = subwords.matrix[places[places >= 0]]
        sizes = np.diff(self.starts)[words, None]
        x[words] += sizes * (vectors - self.means(x)[words])
