"""Words to numbers: the compiled reader against str.split and Counter; places of errors; bounded memory."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError, FormatError, StorageError
from hanmo.tokenizers import word_blocks, word_ids
from hanmo.tokenizers.word_ids import WordIds, read_word_ids

TEXT = "the cat saw the dog\n\n我 爱 北京 天安门\nthe 北京 dog\tran \r\nThe end"


def plain(
    sentences: Iterable[Sequence[str]],
    *,
    min_count: int = 1,
    max_words: int | None = None,
    keep_unknown: bool = False,
) -> tuple[list[str], list[int], list[int], list[int]]:
    """Words, counts, ids and ends, the readable way."""
    sentences = [list(sentence) for sentence in sentences]
    counts = Counter(word for sentence in sentences for word in sentence)
    words = [word for word, count in counts.most_common() if count >= min_count][:max_words]
    numbers = {word: number for number, word in enumerate(words)}
    ids, ends = [], []
    for sentence in sentences:
        found = [numbers.get(word, -1) for word in sentence]
        ids += [number for number in found if number >= 0 or keep_unknown]
        ends.append(len(ids))
    return words, [counts[word] for word in words], ids, ends


def parts(result: WordIds) -> tuple[list[str], list[int], list[int], list[int]]:
    return list(result.words), result.counts.tolist(), result.ids.tolist(), result.ends.tolist()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def lines_of(text: str) -> list[list[str]]:
    return [[word.decode() for word in line.split()] for line in text.encode().removesuffix(b"\n").split(b"\n")]


def test_a_file(file: Path) -> None:
    result = read_word_ids(file)
    assert parts(result) == plain(lines_of(TEXT))
    assert result.n_read == 15
    assert (result.ids.dtype, result.ends.dtype, result.counts.dtype) == (np.int32, np.int64, np.int64)
    assert parts(read_word_ids(str(file))) == parts(result)


@pytest.mark.parametrize(("min_count", "max_words", "keep"), [(2, None, False), (1, 3, True), (2, 1, False)])
def test_words_outside_the_vocabulary(file: Path, min_count: int, max_words: int | None, keep: bool) -> None:
    result = read_word_ids(file, min_count=min_count, max_words=max_words, keep_unknown=keep)
    assert parts(result) == plain(lines_of(TEXT), min_count=min_count, max_words=max_words, keep_unknown=keep)
    assert result.n_read == 15


def test_lower_case_is_of_all_scripts() -> None:
    result = read_word_ids(["Äpfel ÄPFEL The the", "THE Москва москва"], lowercase=True)
    assert result.words == ("the", "äpfel", "москва")
    assert result.counts.tolist() == [3, 2, 2]
    assert result.ids.tolist() == [1, 1, 0, 0, 0, 2, 2]


def test_a_given_vocabulary(file: Path) -> None:
    result = read_word_ids(file, vocabulary=["北京", "missing", "the"], keep_unknown=True)
    assert result.words == ("北京", "missing", "the")
    assert result.counts.tolist() == [2, 0, 3]
    assert result.ids.tolist() == [2, -1, -1, 2, -1, -1, -1, 0, -1, 2, 0, -1, -1, -1, -1]
    assert read_word_ids([["nothing"]], vocabulary=["a"]).ids.tolist() == []


def test_sentences_from_python_and_from_files_are_the_same(file: Path) -> None:
    expected = parts(read_word_ids(file))
    assert parts(read_word_ids(TEXT.split("\n"))) == expected
    assert parts(read_word_ids(line for line in lines_of(TEXT))) == expected
    mixed = [TEXT.split("\n")[0], *lines_of(TEXT)[1:]]
    assert parts(read_word_ids(mixed)) == expected  # pyright: ignore[reportArgumentType]


def test_words_of_lists_are_taken_as_they_are() -> None:
    result = read_word_ids([["New York", "a\nb", ""], ["New York"]])
    assert result.words == ("New York", "a\nb")
    assert result.ends.tolist() == [2, 3]


def test_compressed_and_several_files(tmp_path: Path, file: Path) -> None:
    packed = tmp_path / "text.TXT.gz"
    packed.write_bytes(gzip.compress(TEXT.encode()))
    assert parts(read_word_ids(packed)) == parts(read_word_ids(file))
    assert parts(read_word_ids([file, packed])) == plain(lines_of(TEXT) * 2)


def test_byte_order_mark_and_full_width_space(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes("\ufeff一 二\r\n一\u3000二".encode())
    assert read_word_ids(path).words == ("一", "二", "一\u3000二")


@given(
    st.lists(st.text("ab 北é\t\n\r𠀀\u3000\ufeff", max_size=40), max_size=12),
    st.integers(1, 3),
    st.integers(4, 24),
    st.integers(1, 3),
)
def test_any_text_in_blocks_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], min_count: int, block: int, threads: int
) -> None:
    text = " ".join(pieces)
    path = tmp_path_factory.mktemp("any") / "text"
    path.write_bytes(text.encode())
    text = text.removeprefix("\ufeff")
    expected = plain(lines_of(text) if text else [], min_count=min_count, keep_unknown=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_blocks, "BLOCK_BYTES", block)
        patch.setattr(word_ids, "_MAX_THREADS", threads)
        patch.setattr(word_ids, "_IN_MEMORY", 10)
        if not expected[0]:
            with pytest.raises(DataError, match="no word"):
                read_word_ids(path, min_count=min_count)
            return
        assert parts(read_word_ids(path, min_count=min_count, keep_unknown=True)) == expected


def test_a_table_that_grows_many_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = [f"词{number}x" for number in rng.zipf(1.2, 60_000) % 50_000]
    path = tmp_path / "many.txt"
    path.write_text("\n".join(" ".join(words[i : i + 17]) for i in range(0, len(words), 17)), encoding="utf-8")
    assert parts(read_word_ids(path, min_count=2)) == plain(
        (words[i : i + 17] for i in range(0, len(words), 17)), min_count=2
    )


def test_what_is_not_utf8_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_blocks, "BLOCK_BYTES", 16)
    path = tmp_path / "latin1.txt"
    for bad in (b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe5\x8c", b"\xe0\x80\x80", b"\x80"):
        path.write_bytes(b"one two\nthree four five six\n\nseven eight " + bad + b" nine\n")
        with pytest.raises(FormatError, match=r"latin1\.txt:4: a word is not UTF-8"):
            read_word_ids(path)


def test_bad_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"none\.txt: there is no such file"):
        read_word_ids(tmp_path / "none.txt")
    with pytest.raises(DataError, match="cannot read this file"):
        read_word_ids(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(TEXT.encode() * 50)[:-20])
    with pytest.raises(FormatError, match=r"cut\.gz: a damaged \.gz"):
        read_word_ids(tmp_path / "cut.gz")
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="there are no words"):
        read_word_ids(tmp_path / "empty.txt")
    with pytest.raises(DataError, match="there are no words"):
        read_word_ids([])
    with pytest.raises(DataError, match=r"no word occurs 3 times.* occurs 2 times.*Lower min_count to 2"):
        read_word_ids(["a a b"], min_count=3)
    with pytest.raises(DataError, match="sentence 2: half of a surrogate pair"):
        read_word_ids(["a", "b \ud800"])
    with pytest.raises(DataError, match="sentence 2: a sentence is a string"):
        read_word_ids([["a"], 3])  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match=r"sentence 2: a word of more than 65,536 bytes.*segment"):
        read_word_ids(["a", "长" * 30_000])
    monkeypatch.setattr(word_blocks, "_NO_WORD", 100_000)
    (tmp_path / "long.txt").write_text("a\nb " + "x" * 300_000)
    with pytest.raises(DataError, match=r"long\.txt:2: a word of more"):
        read_word_ids(tmp_path / "long.txt")


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="min_count must be >= 1"):
        read_word_ids(["a"], min_count=0)
    with pytest.raises(ConfigError, match="max_words must be >= 1"):
        read_word_ids(["a"], max_words=0)
    with pytest.raises(ConfigError, match="one is given"):
        read_word_ids(["a"], vocabulary=["a"], min_count=2)
    with pytest.raises(ConfigError, match="'a' stands 2 times"):
        read_word_ids(["a"], vocabulary=["a", "b", "a"])


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(word_ids, "_IN_MEMORY", 1)
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(word_ids.tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(StorageError, match="the disk is full"):
            read_word_ids(["a b c"])


def test_progress_is_told_of_all_words(file: Path) -> None:
    class Counting:
        n = 0.0

        def advance(self, n: float = 1, **info: object) -> None:
            self.n += n

        def set_total(self, total: float) -> None: ...

    bar = Counting()
    read_word_ids(file, progress=bar, max_words=1)
    assert bar.n == 15
