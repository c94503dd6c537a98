from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import DataError
from hanmo.vectors import WordVectors


def test_words_and_rows() -> None:
    vectors = WordVectors(["宝玉", "the"], np.arange(6.0).reshape(2, 3), counts=np.array([3, 1]), meta={"dim": 3})
    assert (len(vectors), vectors.dim, vectors.words) == (2, 3, ("宝玉", "the"))
    assert vectors.matrix.dtype == np.float32
    assert vectors["the"].tolist() == [3, 4, 5]
    assert "宝玉" in vectors
    assert "黛玉" not in vectors
    np.testing.assert_allclose(vectors.lengths, [5**0.5, 50**0.5])


def test_float32_is_not_copied() -> None:
    matrix = np.ones((2, 2), np.float32)
    assert WordVectors(["a", "b"], matrix).matrix is matrix


def test_a_vector_of_zeros_has_length_one() -> None:
    assert WordVectors(["a", "b"], np.array([[0.0, 0], [3, 4]])).lengths.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("words", "matrix", "message"),
    [
        (["a", "宝玉", "宝玉"], np.ones((3, 2)), r"'宝玉' stands there twice, in rows 1 and 2"),
        (["a", "b"], np.array([[1, 2], [np.nan, 1]]), r"the vector of 'b' \(row 1\) has a number that is not finite"),
        (["a", "b"], np.array([[np.inf, 2], [0.0, 1]]), r"'a' \(row 0\)"),
        (["a"], np.ones((2, 3)), r"1 words need a matrix of shape \(1, dim\), got \(2, 3\)"),
        (["a"], np.ones(3), r"got \(3,\)"),
        ([], np.ones((0, 3)), r"0 words"),
        (["a"], np.ones((1, 0)), r"got \(1, 0\)"),
        (["a"], np.ones((1, 2), np.int64), "int64"),
        (["a", ""], np.ones((2, 2)), "the word of row 1 is empty"),
        (["a", "\ud800"], np.ones((2, 2)), r"row 1.*surrogate"),
    ],
)
def test_refused(words: list[str], matrix: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        WordVectors(words, matrix)


def test_counts_must_fit() -> None:
    with pytest.raises(DataError, match="counts of shape"):
        WordVectors(["a"], np.ones((1, 2)), counts=np.array([1, 2]))


def test_missing_words_are_named() -> None:
    vectors = WordVectors(["jerusalem"], np.ones((1, 2)), where="some.txt")
    with pytest.raises(DataError, match=r"some.txt: the word 'Jerusalem' has no vector.*'jerusalem' has one"):
        vectors["Jerusalem"]
    with pytest.raises(DataError, match="'宝玉'"):
        vectors["宝玉"]


def test_unchecked_rows_are_looked_at_when_used() -> None:
    vectors = WordVectors(["a", "b"], np.array([[1, 2], [np.nan, 1]]), check=False)
    assert vectors["a"].tolist() == [1, 2]
    with pytest.raises(DataError, match="'b'"):
        vectors["b"]
    with pytest.raises(DataError, match="'b'"):
        vectors.lengths  # noqa: B018 (reading it is what raises)
