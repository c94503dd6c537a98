from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors import WordVectors
from hanmo.vectors import word_vectors as word_vectors_module
from hanmo.vectors.neighbours import (
    AnalogyMethod,
    analogies,
    analogy,
    associate,
    neighbours,
    neighbours_of_words,
    odd_one_out,
    similarity,
)


@pytest.fixture
def random_vectors() -> WordVectors:
    matrix = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    matrix[7] = 0
    return WordVectors([f"词{i}" for i in range(300)], matrix)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors_module, "_BLOCK_NUMBERS", 100)


def cosines(vectors: WordVectors) -> np.ndarray:
    """All cosines, (V, V), the plain way."""
    matrix = vectors.matrix.astype(np.float64)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit = matrix / np.where(lengths == 0, 1, lengths)
    return unit @ unit.T


@pytest.mark.parametrize("within", [None, 40, 10_000])
def test_neighbours_are_the_highest_cosines(
    random_vectors: WordVectors, small_blocks: None, within: int | None
) -> None:
    expected = cosines(random_vectors)[5][:within]
    expected[5] = -2
    order = np.argsort(-expected)[:6]
    found = neighbours(random_vectors, "词5", 6, within=within)
    assert [word for word, _ in found] == [f"词{i}" for i in order]
    np.testing.assert_allclose([score for _, score in found], expected[order], rtol=1e-5)


def test_neighbours_of_many_words(
    random_vectors: WordVectors, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanmo.vectors.neighbours._QUERIES", 2)
    words = ["词5", "词1", "词3", "词5", "词2"]
    found = neighbours_of_words(random_vectors, words, 4)
    for word, own in zip(words, found, strict=True):
        alone = neighbours(random_vectors, word, 4)
        assert [one.word for one in own] == [one.word for one in alone]
        assert [one.score for one in own] == pytest.approx([one.score for one in alone], abs=1e-6)
    assert neighbours_of_words(random_vectors, []) == []
    with pytest.raises(DataError, match="no vector"):
        neighbours_of_words(random_vectors, ["词1", "没有"])


def test_neighbours_of_a_vector(random_vectors: WordVectors) -> None:
    found = neighbours(random_vectors, 3 * random_vectors["词5"], 2)
    assert found[0].word == "词5"
    assert found[0].score == pytest.approx(1)
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        neighbours(random_vectors, np.ones(3))


def test_there_are_no_more_neighbours_than_words() -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3))
    assert [word for word, _ in neighbours(vectors, "a", 10)] == ["b", "c"]
    with pytest.raises(ConfigError, match="n = 0"):
        neighbours(vectors, "a", 0)
    with pytest.raises(ConfigError, match="within = 0"):
        neighbours(vectors, "a", within=0)


@pytest.mark.parametrize("method", ["add", "mul"])
def test_analogies_are_the_formula(random_vectors: WordVectors, small_blocks: None, method: AnalogyMethod) -> None:
    cos = cosines(random_vectors)
    questions = [(i, i + 10, i + 20) for i in range(100)]
    answers = analogies(random_vectors, [(f"词{a}", f"词{b}", f"词{c}") for a, b, c in questions], 3, method=method)
    for (a, b, c), found in zip(questions, answers, strict=True):
        if method == "add":
            expected = cos[b] - cos[a] + cos[c]
        else:
            expected = (cos[b] + 1) / 2 * (cos[c] + 1) / 2 / ((cos[a] + 1) / 2 + 0.001)
        expected[[a, b, c]] = -9
        assert [word for word, _ in found] == [f"词{i}" for i in np.argsort(-expected)[:3]]


@pytest.mark.parametrize("method", ["add", "mul"])
def test_king_and_queen(method: AnalogyMethod) -> None:
    words = ["男", "女", "国王", "王后", "苹果"]
    vectors = WordVectors(words, np.array([[1, 0, 0.2], [0, 1, 0.2], [1, 0, 2], [0, 1, 2], [0.5, 0.5, -1]]))
    assert analogy(vectors, "男", "国王", "女", 1, method=method)[0].word == "王后"
    with pytest.raises(ConfigError, match="unknown method 'cos'"):
        analogy(vectors, "男", "国王", "女", method="cos")  # type: ignore[arg-type] (what is tested)
    with pytest.raises(DataError, match="'皇帝', '太监'"):
        analogy(vectors, "皇帝", "国王", "太监")


def test_similarity_and_association(random_vectors: WordVectors) -> None:
    cos = cosines(random_vectors)
    assert similarity(random_vectors, "词1", "词2") == pytest.approx(cos[1, 2], abs=1e-6)
    assert similarity(random_vectors, "词1", "词7") == 0
    found = associate(random_vectors, ["词1", "词2"], ["词3", "词4", "词5"])
    np.testing.assert_allclose(found, cos[1:3, 3:6].mean(1), atol=1e-6)
    with pytest.raises(DataError, match="attributes: a set of words is empty"):
        associate(random_vectors, ["词1"], [])


def test_odd_one_out() -> None:
    vectors = WordVectors(["早饭", "晚饭", "午饭", "火车"], np.array([[3, 0.1], [1, 0.2], [1, 0.0], [0.1, 1]]))
    assert odd_one_out(vectors, ["早饭", "火车", "晚饭", "午饭"])[0].word == "火车"
    with pytest.raises(DataError, match="three or more"):
        odd_one_out(vectors, ["早饭", "火车"])


def test_mapped_vectors_answer_alike(random_vectors: WordVectors, tmp_path) -> None:
    random_vectors.save(tmp_path / "v")
    mapped = WordVectors.load(tmp_path / "v", mmap=True)
    assert neighbours(mapped, "词1") == neighbours(random_vectors, "词1")


def test_not_finite_is_met_in_mapped_vectors(tmp_path) -> None:
    WordVectors(["a", "宝玉"], np.array([[1.0, 2], [0, 1]])).save(tmp_path / "v")
    file = tmp_path / "v" / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:-8] + np.array([np.nan, 1], "<f4").tobytes())
    with pytest.raises(DataError, match=r"v: the vector of '宝玉' \(row 1\)"):
        neighbours(WordVectors.load(tmp_path / "v", mmap=True), "a")


@pytest.mark.slow
def test_memory_is_bounded(tmp_path) -> None:
    """A query over a mapped matrix of 400,000 words takes megabytes, not copies of it."""
    import tracemalloc

    matrix = np.random.default_rng(0).standard_normal((400_000, 300), dtype=np.float32)
    WordVectors([str(i) for i in range(len(matrix))], matrix).save(tmp_path / "v")
    del matrix
    vectors = WordVectors.load(tmp_path / "v", mmap=True)
    tracemalloc.start()
    neighbours(vectors, "7")
    analogies(vectors, [("1", "2", "3")] * 600, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
