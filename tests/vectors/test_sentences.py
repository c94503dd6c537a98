from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors import WordVectors
from hanmo.vectors.sentences import Sif, mean_vectors


@pytest.fixture
def vectors() -> WordVectors:
    matrix = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    return WordVectors([f"词{i}" for i in range(50)], matrix, counts=1000 // np.arange(1, 51))


def sentences(vectors: WordVectors) -> list[list[str]]:
    rng = np.random.default_rng(1)
    return [[vectors.words[i] for i in rng.integers(0, 50, 7)] for _ in range(20)]


def test_mean(vectors: WordVectors) -> None:
    found = mean_vectors(vectors, [["词1", "词2", "没有"], ["没有"], []])
    np.testing.assert_allclose(found[0], (vectors["词1"] + vectors["词2"]) / 2, rtol=1e-6)
    assert not found[1:].any()


def test_sif_is_algorithm_1(vectors: WordVectors) -> None:
    """Arora et al. (2017), written out, with the singular vectors of the matrix itself."""
    texts = sentences(vectors)
    assert vectors.counts is not None
    p = vectors.counts / vectors.counts.sum()
    plain = np.zeros((6, len(texts)))
    for s, text in enumerate(texts):
        for word in text:
            plain[:, s] += 1e-3 / (1e-3 + p[vectors.row(word)]) * vectors[word] / len(text)
    u = np.linalg.svd(plain)[0][:, :1]
    np.testing.assert_allclose(Sif.fit(vectors, texts).encode(texts), (plain - u @ u.T @ plain).T, atol=1e-5)


def test_sif_needs_counts_and_words(vectors: WordVectors) -> None:
    with pytest.raises(DataError, match="no counts"):
        Sif.fit(WordVectors(["a"], np.ones((1, 2))), [["a"]])
    with pytest.raises(DataError, match="no word of these sentences"):
        Sif.fit(vectors, [["没有"]])
    with pytest.raises(ConfigError, match="a = 0"):
        Sif.fit(vectors, [["词1"]], a=0)


def test_a_string_is_no_sentence(vectors: WordVectors) -> None:
    with pytest.raises(DataError, match=r"sentence 2: .*segment"):
        mean_vectors(vectors, [["词1"], "词1"])


def test_not_finite() -> None:
    vectors = WordVectors(["a"], np.array([[np.nan, 1]]), check=False)
    with pytest.raises(DataError, match="not finite"):
        mean_vectors(vectors, [["a"]])
