"""Co-occurrence counts: equal to a brute-force count whatever the memory, the threads and the text; full disks."""

from __future__ import annotations

import errno
import re
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError, StorageError
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors import glove_counts
from hanmo.vectors.glove_counts import Tiles, count_tiles, distance_units, word_blocks
from hanmo.vectors.glove_plain import count_plain, weight
from hanmo.vectors.glove_settings import GloveSettings

SMALLEST = 2**20


def count(text: WordIds, threads: int = 1, **settings: Any) -> Tiles:
    return count_tiles(text, GloveSettings(**settings), 16, threads)


def places(tiles: Tiles) -> np.ndarray:
    """Row and column of each record among all words, (n, 2)."""
    found = []
    for i, row in enumerate(tiles.bounds[:-1]):
        for j, column in enumerate(tiles.bounds[:-1]):
            part = tiles.records[tiles.starts[i, j] : tiles.starts[i, j + 1]]
            found.append(np.stack([part["row"] + row, part["column"] + column], 1))
    return np.concatenate(found)


def matrix(tiles: Tiles, text: WordIds) -> np.ndarray:
    """X, (V, V); every record must stand in exactly one tile, at its place."""
    counts = np.zeros((len(text.words), len(text.words)))
    n = 0
    for i, row in enumerate(tiles.bounds[:-1]):
        for j, column in enumerate(tiles.bounds[:-1]):
            part = tiles.records[tiles.starts[i, j] : tiles.starts[i, j + 1]]
            assert (part["row"] + row < tiles.bounds[i + 1]).all()
            assert (part["column"] + column < tiles.bounds[j + 1]).all()
            assert not counts[part["row"] + row, part["column"] + column].any()
            counts[part["row"] + row, part["column"] + column] = np.exp(part["log"].astype(np.float64))
            n += len(part)
    assert n == len(tiles.records) == (counts > 0).sum()
    return counts


words = st.sampled_from("甲乙丙丁戊己庚辛壬癸abcdefghij")


@given(
    sentences=st.lists(st.lists(words, max_size=15), min_size=1, max_size=12),
    window=st.integers(1, 30),
    sides=st.sampled_from(["both", "left", "right"]),
    min_count=st.integers(1, 3),
    keep=st.booleans(),
    threads=st.integers(1, 3),
)
def test_counts_are_those_of_brute_force(
    sentences: list[list[str]], window: int, sides: Any, min_count: int, keep: bool, threads: int
) -> None:
    try:
        text = read_word_ids(sentences, min_count=min_count, keep_unknown=keep)
    except DataError:  # nothing left
        return
    expected = count_plain(text, window, sides)
    if not expected.any():
        with pytest.raises(DataError, match="no two words"):
            count(text, window=window, sides=sides)
        return
    tiles = count(text, threads, window=window, sides=sides, x_max=3.0, memory=SMALLEST)
    np.testing.assert_allclose(matrix(tiles, text), expected, rtol=1e-6)
    rows, columns = places(tiles).T
    found = np.concatenate(tile_parts(tiles))["weight"]
    np.testing.assert_allclose(found, weight(expected[rows, columns], 3.0, 0.75), rtol=1e-6)


@pytest.fixture(scope="module")
def zipf() -> WordIds:
    """15,000 words of 2,000 kinds, as frequent as words are."""
    rng = np.random.default_rng(0)
    drawn = rng.zipf(1.1, 15_000) % 2000
    return read_word_ids([[str(number) for number in part] for part in np.split(drawn, 750)])


def test_threads_and_memory_change_nothing(zipf: WordIds) -> None:
    expected = count_plain(zipf, 5)
    one = count(zipf, window=5)
    assert len(one.bounds) > 64
    assert isinstance(one.records, np.ndarray)
    assert not isinstance(one.records, np.memmap)
    np.testing.assert_allclose(matrix(one, zipf), expected, rtol=1e-6)
    two = count(zipf, 2, window=5)
    assert (np.concatenate(tile_parts(one)) == np.concatenate(tile_parts(two))).all()
    small = count(zipf, 2, window=5, memory=SMALLEST)
    assert isinstance(small.records, np.memmap)
    assert (matrix(small, zipf) == matrix(one, zipf)).all()


def tile_parts(tiles: Tiles) -> list[np.ndarray]:
    """The records of each tile."""
    n = len(tiles.starts)
    return [tiles.records[tiles.starts[i, j] : tiles.starts[i, j + 1]] for i in range(n) for j in range(n)]


def test_order_inside_a_tile_is_random_and_of_the_seed(zipf: WordIds) -> None:
    first, again, other = (places(count(zipf, window=5, seed=seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert (np.sort(first.view("i8,i8").ravel()) == np.sort(other.view("i8,i8").ravel())).all()


def test_units_are_exact() -> None:
    for window in (1, 10, 22):
        units, one = distance_units(window)
        assert (units[1:] * np.arange(1, window + 1) == one).all()
    units, one = distance_units(255)
    np.testing.assert_allclose(units[1:] / one, 1 / np.arange(1, 256), rtol=0, atol=2**-32)


def test_blocks_hold_all_words_and_no_more_than_they_may() -> None:
    most = np.minimum(np.full(200_000, 10**6) // np.arange(1, 200_001) * 20, 200_000)
    bounds = word_blocks(most, 112, 2**31)
    assert bounds[0] == 0
    assert bounds[-1] == len(most)
    assert np.diff(bounds).min() > 0
    assert np.diff(bounds).max() <= 2**20 // (16 * 112)
    assert np.add.reduceat(most, bounds[:-1]).max() <= max(most.sum() / 64, most.max())
    assert len(word_blocks(np.full(3_000_000, 100), 112, 2**31)) <= 1025


def test_tables_of_tiles_stay_in_their_share_of_the_memory() -> None:
    """300 million co-occurrences of words as frequent as words are would be cut into 150,000 blocks of 2,048."""
    most = np.minimum(np.full(100_000, 3 * 10**7) // np.arange(1, 100_001), 100_000)
    with pytest.raises(ConfigError, match=r"memory = 1048576 is too little .*Set memory = \d+ or more") as caught:
        word_blocks(most, 16, SMALLEST)
    least = int(re.findall(r"memory = (\d+) or more", str(caught.value))[0])
    assert SMALLEST < least < 2**31
    n_blocks = len(word_blocks(most, 16, least)) - 1
    assert 16 * n_blocks**2 <= least // 4  # where tiles begin and how large they are, 8 bytes each
    with pytest.raises(ConfigError, match="too little"):
        word_blocks(most, 16, least - 2**20)


def test_too_little_memory_for_a_text(zipf: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove_counts, "_LEAST_BLOCKS", 200)
    with pytest.raises(ConfigError, match="too little"):
        count(zipf, window=5, memory=SMALLEST)
    assert len(count(zipf, window=5).records)


def test_a_text_of_lonely_words() -> None:
    with pytest.raises(DataError, match="no two words"):
        count(read_word_ids(["甲", "乙", "甲"]))


class FullDisk:
    """A temporary file that takes some bytes."""

    def __init__(self, **_: object):
        self.room = 5000
        self.closed = False

    def write(self, data: Any) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(self.room, len(data))
        self.room -= taken
        return taken

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("threads", [1, 2])
def test_full_disk(zipf: WordIds, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FullDisk] = []

    def open_file(**options: object) -> FullDisk:
        made.append(FullDisk(**options))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", open_file)
    with pytest.raises(StorageError, match=r"the disk is full.*Free some space"):
        count(zipf, threads, window=5, memory=SMALLEST)
    assert [file.closed for file in made] == [True]


def test_a_failure_ends_the_counting(zipf: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that wait do not go through the text once more, each for nothing."""
    calls = []

    def fail(*_: object) -> None:
        calls.append(1)
        raise MemoryError("no more")

    monkeypatch.setattr(glove_counts, "index_places", fail)
    with pytest.raises(MemoryError, match="no more"):
        count(zipf, window=5)
    assert len(calls) == 1


def test_ctrl_c_ends_the_counting(zipf: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    begun = threading.Event()
    plain = glove_counts.index_places

    def slowly(*arguments: object) -> None:
        calls.append(1)
        begun.set()
        time.sleep(0.3)
        plain(*arguments)

    def interrupt(*_: object) -> None:
        begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(glove_counts, "index_places", slowly)
    monkeypatch.setattr(glove_counts, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        count(zipf, window=5)
    assert len(calls) == 1


def test_no_folder_for_the_file(zipf: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError):
        count(zipf, window=5, memory=SMALLEST)


def test_a_spill_leaves_no_file(zipf: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tiles = count(zipf, window=5, memory=SMALLEST)
    assert isinstance(tiles.records, np.memmap)
    assert list(tmp_path.iterdir()) == []
