"""Pieces of words by their definition; unseen words; saved and loaded with the vectors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.vectors import train
from hanmo.vectors.subwords import Subwords, find_pieces
from hanmo.vectors.word2vec_settings import SubwordSettings
from hanmo.vectors.word_vectors import WordVectors


def fnv(piece: str) -> int:
    value = 2166136261
    for byte in piece.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value


def pieces_of(word: str, settings: SubwordSettings) -> list[int]:
    """By the definition: all n-grams of <word>, but not the whole of it, nor < and > alone."""
    marked = f"<{word}>"
    found = []
    for i in range(len(marked)):
        for n in range(settings.min_chars, settings.max_chars + 1):
            whole = i == 0 and n == len(marked)
            mark = n == 1 and i in (0, len(marked) - 1)
            if i + n <= len(marked) and not whole and not mark:
                found.append(fnv(marked[i : i + n]) % settings.buckets)
    return found


@given(st.lists(st.text("abé北京𠀀-", min_size=1, max_size=9), max_size=5), st.integers(1, 4), st.integers(0, 3))
def test_pieces_are_the_n_grams(words: list[str], shortest: int, more: int) -> None:
    settings = SubwordSettings(min_chars=shortest, max_chars=shortest + more, buckets=1000)
    starts, hashes = find_pieces(words, settings)
    expected = [pieces_of(word, settings) for word in words]
    assert [hashes[a:b].tolist() for a, b in itertools.pairwise(starts)] == expected
    assert len(starts) == len(words) + 1


@pytest.fixture(scope="module")
def vectors() -> WordVectors:
    lines = ["running jumping walking", "北京大学 北京人 上海人", "running walking jumping", "上海人 北京人"] * 50
    return train(lines, min_count=1, dim=8, epochs=2, subwords={"min_chars": 1, "max_chars": 5}, threads=1)


def test_unseen_words_have_vectors(vectors: WordVectors) -> None:
    assert "北京话" not in vectors
    assert vectors["北京话"].shape == (8,)
    assert vectors.subwords is not None
    hashes = np.array(pieces_of("北京话", vectors.subwords.settings))
    known = [int(np.flatnonzero(vectors.subwords.buckets == h)[0]) for h in hashes if h in vectors.subwords.buckets]
    assert 0 < len(known) < len(hashes)
    assert vectors["北京话"] == pytest.approx(vectors.subwords.matrix[known].mean(axis=0))
    with pytest.raises(DataError, match="none of its pieces has"):
        vectors["ΨΩ"]


def test_no_piece_has_a_vector() -> None:
    """Single characters are shorter than the shortest piece; an empty table of pieces says so, not where it looked."""
    empty = Subwords(SubwordSettings(), np.zeros(0, np.int32), np.zeros((0, 2), np.float32))
    vectors = WordVectors(["宝"], np.ones((1, 2)), subwords=empty)
    for word in ("玉", "宝玉石"):
        assert not vectors.has_vector(word)
        with pytest.raises(DataError, match=f"the word '{word}' has no vector, and none of its pieces has"):
            vectors[word]


def test_training_without_any_piece_is_refused() -> None:
    lines = ["宝 玉 石 头"] * 20
    with pytest.raises(
        ConfigError, match=r"subwords\.min_chars: no word of this text has a piece .*Lower min_chars to 2"
    ):
        train(lines, min_count=1, dim=4, subwords={})
    assert train(lines, min_count=1, dim=4, epochs=1, subwords={"min_chars": 2}).has_vector("宝物")


def test_saved_and_loaded(vectors: WordVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "saved")
    for mmap in (False, True):
        loaded = WordVectors.load(tmp_path / "saved", mmap=mmap)
        assert np.array_equal(loaded["北京话"], vectors["北京话"])
        assert np.array_equal(loaded["running"], vectors["running"])


def test_damaged_files(vectors: WordVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "saved")
    file = tmp_path / "saved" / "subwords.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="sub-words are damaged"):
        WordVectors.load(tmp_path / "saved")
    tensors = load(data)
    tensors["vectors"][0, 0] = np.nan
    file.write_bytes(save(tensors))
    with pytest.raises(FormatError, match="not vectors of sub-words"):
        WordVectors.load(tmp_path / "saved")
    file.unlink()
    with pytest.raises(FormatError, match="sub-words are damaged"):
        WordVectors.load(tmp_path / "saved")
