"""Sentence vectors from word vectors: the mean, and SIF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["Sif", "mean_vectors"]


def mean_vectors(
    vectors: WordVectors, sentences: Sequence[Sequence[str]], *, weights: np.ndarray | None = None
) -> np.ndarray:
    """The mean of the word vectors of each sentence, (S, D), float32.

    Args:
        vectors: of the words; words without one are left out, and a sentence with none that has one gets zeros.
        sentences: the words of each (`hanmo.text.segment` cuts texts).
        weights: how much each word of `vectors` counts, (V,); as much as any other if not given.
    """
    means = np.zeros((len(sentences), vectors.dim), np.float32)
    for i, sentence in enumerate(sentences):
        if isinstance(sentence, str):
            raise DataError(
                "a sentence is a list of words here, not a string",
                where=f"sentence {i + 1}",
                remedy="Cut it with hanmo.text.segment.segment.",
            )
        words = [word for word in sentence if vectors.has_vector(word)]
        if words:
            # a word made of sub-words was never met, and weighs as the rarest would: 1
            each = [1.0 if weights is None or word not in vectors else weights[vectors.index[word]] for word in words]
            means[i] = np.array(each) @ np.stack([vectors[word] for word in words]) / len(words)
    if not np.isfinite(means).all():
        raise DataError("word vectors of these sentences have numbers that are not finite")
    return means


@dataclass(frozen=True, eq=False)
class Sif:
    """Smooth inverse frequency (Arora et al., 2017, algorithm 1): rare words weigh more, and what all sentences have in
    common is taken out.

    v(s) = mean over w in s of a / (a + p(w)) v(w), minus its part along the first singular vector of all v(s).
    """

    vectors: WordVectors
    weights: np.ndarray
    """a / (a + p(w)) of each word, (V,), float32."""
    direction: np.ndarray
    """What the fitted sentences have in common, (D,), of length 1."""

    @classmethod
    def fit(cls, vectors: WordVectors, sentences: Sequence[Sequence[str]], *, a: float = 1e-3) -> Sif:
        """Find the common direction of sentences.

        Args:
            vectors: of the words, with counts, which give p(w).
            sentences: the words of each.
            a: from 1e-4 (rare words count much more) to 1 (all count alike).

        Raises:
            ConfigError: for an `a` that is not above 0.
            DataError: if the vectors have no counts, or no word of the sentences has a vector.
        """
        if not a > 0:
            raise ConfigError(f"a = {a} is not above 0", where="a")
        if vectors.counts is None or not vectors.counts.sum():
            raise DataError(
                "SIF weighs words by their frequency, but these vectors have no counts",
                remedy="Use vectors trained by hanmo, which keep them, or WordVectors(..., counts=...).",
            )
        weights = (a / (a + vectors.counts / vectors.counts.sum())).astype(np.float32)
        means = mean_vectors(vectors, sentences, weights=weights)
        if not means.any():
            raise DataError("no word of these sentences has a vector")
        # the first right singular vector, from the (D, D) products, so that sentences may be many
        return cls(vectors, weights, np.linalg.eigh(means.T @ means)[1][:, -1])

    def encode(self, sentences: Sequence[Sequence[str]]) -> np.ndarray:
        """Vectors of sentences, (S, D), float32."""
        means = mean_vectors(self.vectors, sentences, weights=self.weights)
        return means - np.outer(means @ self.direction, self.direction)
