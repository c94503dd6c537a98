from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import DataError, FormatError
from hanmo.vectors import WordVectors
from hanmo.vectors.subwords import Subwords, find_pieces
from hanmo.vectors.word2vec_settings import SubwordSettings
from hanmo.vectors.word_tests import AnalogyResult, SimilarityResult, rank_correlation, run_word_test

WORDS = ["男", "女", "国王", "王后", "苹果", "jerusalem"]


@pytest.fixture
def vectors() -> WordVectors:
    matrix = np.array([[1, 0, 0.2], [0, 1, 0.2], [1, 0, 2], [0, 1, 2], [0.5, 0.5, -1], [0.1, -1, 0.3]])
    return WordVectors(WORDS, matrix)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_rank_correlation_is_scipys(pairs: list[tuple[int, int]]) -> None:
    from scipy.stats import spearmanr

    one, other = np.array(pairs).T
    found = rank_correlation(one, other)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(spearmanr(one, other).statistic)


def test_similarity_with_coverage(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "人.txt").write_text(
        "男\t国王\t9\r\n女\t王后\t8\n男\t苹果\t1\n女\t没有\t5\nJerusalem\t女\t0\n", encoding="utf-8"
    )
    result = run_word_test(vectors, tmp_path / "人.txt")
    assert isinstance(result, SimilarityResult)
    assert (result.name, result.n_known, result.n_pairs) == ("人", 4, 5)
    assert result.spearman == pytest.approx(0.94868, abs=1e-4)
    assert result.to_dict()["coverage"] == 0.8


def test_no_known_pair(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("x y 1\n")
    result = run_word_test(vectors, tmp_path / "t.txt")
    assert isinstance(result, SimilarityResult)
    assert result.spearman is None


def test_analogies_by_section(vectors: WordVectors, tmp_path: Path) -> None:
    text = ": 王室\n男 国王 女 王后\n国王 男 王后 女\n: 别的\n男 国王 女 苹果\n男 国王 没有 王后\n"
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(text.encode()))
    result = run_word_test(vectors, tmp_path / "a.txt.gz")
    assert isinstance(result, AnalogyResult)
    assert [(s.name, s.n_right, s.n_known, s.n_questions) for s in result.sections] == [
        ("王室", 2, 2, 2),
        ("别的", 0, 1, 2),
    ]
    assert (result.name, result.accuracy, result.to_dict()["coverage"]) == ("a", 2 / 3, 0.75)
    assert run_word_test(vectors, tmp_path / "a.txt.gz", within=3).to_dict()["n_known"] == 0


def test_an_answer_outside_the_vocabulary_is_not_known(vectors: WordVectors, tmp_path: Path) -> None:
    """Sub-words give it a vector, but answers are words of the vocabulary: it could never be right."""
    hashes = np.unique(find_pieces(["王后娘娘", "国王陛下"], SubwordSettings(min_chars=1))[1])
    pieces = Subwords(SubwordSettings(min_chars=1), hashes, np.ones((len(hashes), 3), np.float32))
    known = WordVectors(vectors.words, vectors.matrix, subwords=pieces)
    (tmp_path / "a.txt").write_text("男 国王 女 王后\n男 国王 女 王后娘娘\n男 国王陛下 女 王后\n", encoding="utf-8")
    result = run_word_test(known, tmp_path / "a.txt")
    assert isinstance(result, AnalogyResult)
    assert (result.n_known, result.n_questions) == (2, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a b c d e\n", r"t\.txt:1: neither"),
        (b"a b 1\n\na b x\n", r"t\.txt:3: the score 'x' is not a number"),
        (b"a b 1\na b c d\n", r"t\.txt:2: pairs with scores and analogies"),
        (b": only a title\n", "no pair and no question"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_files(vectors: WordVectors, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        run_word_test(vectors, tmp_path / "t.txt")


def test_no_file(vectors: WordVectors, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such test file"):
        run_word_test(vectors, tmp_path / "t.txt")


def test_the_real_sets_are_read(data_root: Path) -> None:
    vectors = WordVectors(["tiger", "cat", "老虎", "日本", "雅典", "希腊"], np.eye(6))
    sizes = {}
    for folder in ("wordsim_en", "wordsim_zh", "analogy_en", "analogy_zh"):
        for file in sorted((data_root / folder).glob("*.txt*")):
            result = run_word_test(vectors, file)
            sizes[result.name] = result.n_pairs if isinstance(result, SimilarityResult) else result.n_questions
    assert sizes["EN-WS-353-ALL"] == 353
    assert sizes["240"] == 240
    assert sizes["questions-words"] == 19_544
    assert sizes["cwe_analogy"] == 953
    assert sizes["CA8_morphological"] == 10_177
