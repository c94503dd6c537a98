"""What stands near what: cosines, nearest words, analogies, the odd one out.

The matrix is walked through in blocks, so that a query over 400,000 words needs a few megabytes besides it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, get_args

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = [
    "AnalogyMethod",
    "Neighbour",
    "analogies",
    "analogy",
    "associate",
    "neighbours",
    "neighbours_of_words",
    "odd_one_out",
    "similarity",
    "unit_vectors",
]

AnalogyMethod = Literal["add", "mul"]

_QUERIES = 512
"""Queries that are answered in one walk through the matrix."""
_EPSILON = 0.001
"""Keeps 3CosMul from dividing by zero (Levy & Goldberg, 2014, §6)."""


class Neighbour(NamedTuple):
    """A word and how near it is."""

    word: str
    score: float


def unit_vectors(vectors: WordVectors, words: Sequence[str]) -> np.ndarray:
    """Vectors of length 1, (N, D); zeros for a vector of zeros.

    Raises:
        DataError: if words have no vector; names them all.
    """
    missing = [word for word in words if not vectors.has_vector(word)]
    if len(missing) == 1:
        vectors.row(missing[0])
    if missing:
        raise DataError(f"these words have no vector here: {', '.join(map(repr, missing))}")
    found = np.stack([vectors[word] for word in words])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.where(lengths == 0, 1, lengths)


def similarity(vectors: WordVectors, one: str, other: str) -> float:
    """The cosine of two words.

    Raises:
        DataError: if one has no vector.
    """
    first, second = unit_vectors(vectors, (one, other))
    return float(first @ second)


def associate(vectors: WordVectors, words: Sequence[str], attributes: Sequence[str]) -> np.ndarray:
    """Mean cosine of each word with the attributes, (N,): mean over a of cos(w, a) in WEAT's s(w, A, B) (Caliskan et
    al., 2017).

    Raises:
        DataError: if a word has no vector, or a set is empty.
    """
    if not words or not attributes:
        raise DataError("a set of words is empty", where="words" if not words else "attributes")
    return unit_vectors(vectors, words) @ unit_vectors(vectors, attributes).mean(0)


def neighbours(
    vectors: WordVectors, query: str | np.ndarray, n: int = 10, *, within: int | None = None
) -> list[Neighbour]:
    """The words with the highest cosine, highest first.

    Args:
        vectors: where to look.
        query: a word, which is not among its own neighbours, or a vector, (D,).
        n: how many; fewer where there are no more.
        within: look among the first, most frequent, so many words only.

    Raises:
        ConfigError: for a number of neighbours that cannot be.
        DataError: if the word has no vector, or the vector another length.
    """
    if isinstance(query, str):
        unit, known = unit_vectors(vectors, (query,)), [_rows_of(vectors, (query,))]
    else:
        unit, known = _unit(np.asarray(query, np.float32), vectors.dim)[None], [[]]
    return _answers(vectors, lambda rows: unit @ rows.T, known, n, within)[0]


def neighbours_of_words(vectors: WordVectors, words: Sequence[str], n: int = 10) -> list[list[Neighbour]]:
    """`neighbours` of each of many words, in fewer walks through the matrix.

    Raises:
        ConfigError: for a number of neighbours that cannot be.
        DataError: if words have no vector; names them.
    """
    found: list[list[Neighbour]] = []
    for start in range(0, len(words), _QUERIES):
        part = words[start : start + _QUERIES]
        cosines = partial(_cosines, unit_vectors(vectors, part))
        found += _answers(vectors, cosines, [_rows_of(vectors, (word,)) for word in part], n, None)
    return found


def _cosines(units: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return units @ rows.T


def _rows_of(vectors: WordVectors, words: Sequence[str]) -> list[int]:
    """Rows of the words that have one: those made of sub-words have none."""
    return [vectors.index[word] for word in words if word in vectors]


def _unit(vector: np.ndarray, dim: int) -> np.ndarray:
    if vector.shape != (dim,):
        raise DataError(f"a query has shape {vector.shape}, the vectors ({dim},)")
    return vector / (np.linalg.norm(vector) or 1)


def analogy(
    vectors: WordVectors,
    a: str,
    b: str,
    c: str,
    n: int = 10,
    *,
    method: AnalogyMethod = "add",
    within: int | None = None,
) -> list[Neighbour]:
    """What is to `c` as `b` is to `a`: man, king, woman → queen. See `analogies`."""
    return analogies(vectors, [(a, b, c)], n, method=method, within=within)[0]


def analogies(
    vectors: WordVectors,
    questions: Sequence[tuple[str, str, str]],
    n: int = 1,
    *,
    method: AnalogyMethod = "add",
    within: int | None = None,
) -> list[list[Neighbour]]:
    """Answer `a : b = c : ?` for many questions; the three words are no answers.

    "add" is 3CosAdd, the cosine with b - a + c of vectors of length 1 (Mikolov et al., 2013); "mul" is 3CosMul,
    cos(x, b) cos(x, c) / (cos(x, a) + ε) with cosines moved to [0, 1] (Levy & Goldberg, 2014, eq. 4).

    Raises:
        ConfigError: for an unknown method or a number of answers that cannot be.
        DataError: if words have no vector; names them.
    """
    if method not in get_args(AnalogyMethod):
        raise ConfigError(f"unknown method {method!r}", where="method", remedy="Known methods: add, mul.")
    answers: list[list[Neighbour]] = []
    for start in range(0, len(questions), _QUERIES):
        part = questions[start : start + _QUERIES]
        units = unit_vectors(vectors, [word for question in part for word in question])
        a, b, c = units.reshape(len(part), 3, vectors.dim).transpose(1, 0, 2)  # (Q, D) each
        score = _cos_add(a, b, c) if method == "add" else _cos_mul(a, b, c)
        known = [_rows_of(vectors, question) for question in part]
        answers += _answers(vectors, score, known, n, within)
    return answers


def _cos_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    target = b - a + c
    lengths = np.linalg.norm(target, axis=1, keepdims=True)
    target /= np.where(lengths == 0, 1, lengths)
    return lambda rows: target @ rows.T


def _cos_mul(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def score(rows: np.ndarray) -> np.ndarray:
        from_a, from_b, from_c = (np.clip((side @ rows.T + 1) / 2, 0, 1) for side in (a, b, c))
        return from_b * from_c / (from_a + _EPSILON)

    return score


def _answers(
    vectors: WordVectors,
    score: Callable[[np.ndarray], np.ndarray],
    known: Sequence[Sequence[int]],
    n: int,
    within: int | None,
) -> list[list[Neighbour]]:
    """The best words of Q queries.

    Args:
        vectors: where to look.
        score: from rows of length 1, (B, D), to scores, (Q, B).
        known: rows that are no answers, of each query.
        n: answers to each query.
        within: look among the first so many rows only.
    """
    if n < 1 or (within is not None and within < 1):
        raise ConfigError(f"n = {n}, within = {within}: both are 1 or more")
    n_rows = min(within or len(vectors), len(vectors))
    n_queries = len(known)
    best = np.empty((n_queries, 0), np.float32)
    places = np.empty((n_queries, 0), np.int64)
    for part in blocks(n_rows, max(vectors.dim, n_queries)):
        rows = vectors.matrix[part] / vectors.lengths[part, None]
        scores = score(rows)
        for query, left_out in enumerate(known):
            for row in left_out:
                if part.start <= row < part.stop:
                    scores[query, row - part.start] = -np.inf
        scores = np.concatenate((best, scores), axis=1)
        rows_of = np.concatenate(
            (places, np.broadcast_to(np.arange(part.start, part.stop), (n_queries, len(rows)))), axis=1
        )
        kept = _highest(scores, n)
        best, places = np.take_along_axis(scores, kept, 1), np.take_along_axis(rows_of, kept, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    best, places = np.take_along_axis(best, order, 1), np.take_along_axis(places, order, 1)
    return [
        [
            Neighbour(vectors.words[row], float(value))
            for row, value in zip(row_list, values, strict=True)
            if value > -np.inf
        ]
        for row_list, values in zip(places.tolist(), best.tolist(), strict=True)
    ]


def _highest(scores: np.ndarray, n: int) -> np.ndarray:
    """Columns of the `n` highest scores of each row, in rising order, so that earlier words stay earlier."""
    if scores.shape[1] <= n:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    if n == 1:
        return scores.argmax(axis=1)[:, None]
    return np.sort(np.argpartition(scores, -n, axis=1)[:, -n:], axis=1)


def odd_one_out(vectors: WordVectors, words: Sequence[str]) -> list[Neighbour]:
    """The words by rising cosine with the mean of all of them: the first is the odd one.

    Raises:
        DataError: for fewer than three words, or words without a vector.
    """
    if len(words) < 3:
        raise DataError(f"the odd one out of {len(words)} words: give three or more")
    units = unit_vectors(vectors, words)
    middle = _unit(units.mean(0), vectors.dim)
    found = (Neighbour(word, float(score)) for word, score in zip(words, units @ middle, strict=True))
    return sorted(found, key=lambda neighbour: neighbour.score)
