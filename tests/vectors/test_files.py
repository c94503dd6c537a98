"""Vectors in files: every form there and back, gensim's reading and writing of them, and files that are wrong."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError, HanmoError, StorageError
from hanmo.vectors import WordVectors
from hanmo.vectors import reading as reading_module
from hanmo.vectors.files import detect_form, read_vectors, write_vectors
from hanmo.vectors.subwords import Subwords
from hanmo.vectors.text_form import _number
from hanmo.vectors.word2vec_settings import SubwordSettings

FORMS = {"v.txt": "word2vec", "v.vec": "word2vec", "v.bin": "word2vec-binary", "v": "hanmo", "v.300": "hanmo"}


@pytest.fixture
def vectors() -> WordVectors:
    rng = np.random.default_rng(0)
    matrix = (rng.standard_normal((400, 7)) * 10.0 ** rng.integers(-38, 38, (400, 7))).astype(np.float32)
    matrix[0] = [0, 1, -1, 0.1, 1e9, 1e-5, 123456789]
    matrix[1] = np.finfo(np.float32).max, -np.finfo(np.float32).tiny, 1.4e-45, 9.9999994e-5, 0.99999994, 16777216, 1e-30
    words = [f"词{i}" if i % 2 else f"word{i}" for i in range(400)]
    return WordVectors(words, matrix, counts=np.arange(400, 0, -1), meta={"方法": "skipgram"})


@pytest.mark.parametrize("name", FORMS)
def test_there_and_back(vectors: WordVectors, tmp_path: Path, name: str) -> None:
    vectors.save(tmp_path / name)
    assert detect_form(tmp_path / name) == FORMS[name]
    loaded = WordVectors.load(tmp_path / name)
    assert loaded.words == vectors.words
    np.testing.assert_array_equal(loaded.matrix, vectors.matrix)
    if FORMS[name] == "hanmo":
        assert loaded.counts is not None
        assert loaded.counts.tolist() == list(range(400, 0, -1))
        assert loaded.meta == {"方法": "skipgram"}
    vectors.save(tmp_path / name)  # over the old one
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_glove_there_and_back(vectors: WordVectors, tmp_path: Path) -> None:
    write_vectors(vectors, tmp_path / "g.txt", "glove")
    assert detect_form(tmp_path / "g.txt") == "glove"
    np.testing.assert_array_equal(read_vectors(tmp_path / "g.txt").matrix, vectors.matrix)


@pytest.mark.parametrize("first", [b"F.\r\xea", b"1.5\n", b"5\n\x00\x41", b"nan\n"])
def test_numbers_that_stand_in_binary_vectors_by_chance(tmp_path: Path, first: bytes) -> None:
    """The first bytes behind the word read like a short row of text."""
    matrix = np.random.default_rng(1).standard_normal((20, 8)).astype("<f4")
    matrix[0, 0] = np.frombuffer(first, "<f4")[0]
    vectors = WordVectors([f"w{number}" for number in range(20)], matrix)
    vectors.save(tmp_path / "v.bin")
    assert detect_form(tmp_path / "v.bin") == "word2vec-binary"


TEXT_THAT_LOOKS_BINARY = {
    "a space in the first word": (b"2 2\nNew York 0.1 0.2\nb 0.1 0.3\n", r":2: the word 'New York' has a space in it"),
    "no number": (b"2 2\na 0.1 x\nb 0.1 0.3\n", r":2: 'x' is not a number"),
    "a comma": (b"2 2\na 0.1,0.2\nb 0.1 0.3\n", r":2: 1 numbers where the header promises 2"),
    "a comma, dim 1": ("2 1\n词 0,1\n中国人民 0\n".encode(), r":2: '0,1' is not a number"),
    "ragged": ("2 3\n北京大学 1 2\n上海 1 2 3\n".encode(), r":2: 2 numbers where the header promises 3"),
    "GBK": ("2 1\n宝玉 0.123\n黛玉 0.456\n".encode("gbk"), r":2: the word .* is not UTF-8"),
    "a huge dim": (b"2 100000000000\na 0.1 0.2\n", r":2: 2 numbers where the header promises 100000000000"),
    "a huge dim, blank lines": (b"2 100000000000\n\n\na 0.1\n", r":4: 1 numbers where the header promises 100000000000"),
    "no rows": (b"2 3\n", r":1: the header promises 2 words, the file has 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXT_THAT_LOOKS_BINARY)
def test_wrong_text_is_text(tmp_path: Path, case: str) -> None:
    content, message = TEXT_THAT_LOOKS_BINARY[case]
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(FormatError, match=f"bad{message}"):
        read_vectors(tmp_path / "bad")


@pytest.mark.parametrize(
    "content", ["2 2\n\na 0.1 0.2\n宝玉 1 2\n", "2 2\na\x01 0.1 0.2\nb 0 0\n", "2 1\n词 1\n中国 0\n", "1 1\na\t1\n"]
)
def test_odd_text_is_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "v").write_text(content, encoding="utf-8")
    assert detect_form(tmp_path / "v") == "word2vec"
    assert len(read_vectors(tmp_path / "v")) == int(content[0])


@pytest.mark.parametrize("dim", [1, 2, 3, 100])
@pytest.mark.parametrize("words", [["a", "the"], ["词", "中华人民共和国"]])
def test_small_binary_files_are_binary(tmp_path: Path, words: list[str], dim: int) -> None:
    rng = np.random.default_rng(dim)
    numbers = [0.0, 1.0, -1.0, 0.5, 0.1, 0.25, 3.0, 100.0, 1e-7]
    for _ in range(50):
        matrix = rng.choice(numbers, (len(words), dim))
        WordVectors(words, matrix).save(tmp_path / "v.bin")
        assert detect_form(tmp_path / "v.bin") == "word2vec-binary"
        assert read_vectors(tmp_path / "v.bin").words == tuple(words)


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_packed_and_in_small_blocks(
    vectors: WordVectors, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.save(tmp_path / name)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    for module in ("text_form", "binary_form"):
        monkeypatch.setattr(f"hanmo.vectors.{module}.BLOCK_BYTES", 100)
    loaded = read_vectors(packed)
    assert loaded.words == vectors.words
    np.testing.assert_array_equal(loaded.matrix, vectors.matrix)
    assert read_vectors(packed, limit=3).words == vectors.words[:3]


def test_numbers_are_the_nearest_float32(tmp_path: Path) -> None:
    """The compiled reading of numbers against Python's."""
    rng = np.random.default_rng(0)
    written = [repr(x) for x in (rng.standard_normal(3000) * 10.0 ** rng.integers(-44, 38, 3000)).tolist()]
    written += [
        "0",
        "-0.0",
        "+1",
        "1.",
        ".5",
        "1e5",
        "1E+05",
        "12345678901234567890123",
        "0." + "0" * 30 + "1",
        "1e-60",
    ]
    written += ["0.000000000000000000000000", "00012.5", "1e-400", "9" * 19]
    (tmp_path / "n.txt").write_text("".join(f"w{i} {text} 1\r\n" for i, text in enumerate(written)))
    loaded = read_vectors(tmp_path / "n.txt")
    np.testing.assert_array_equal(loaded.matrix[:, 0], np.array([_number(t.encode()) for t in written]).astype("f4"))


def test_spaces_at_line_ends_tabs_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"\xef\xbb\xbf2 2\n\xe5\xae\x9d\xe7\x8e\x89 1 2 \n\r\nb\t3\t4\n\n  \n")
    loaded = read_vectors(tmp_path / "v.txt")
    assert loaded.words == ("宝玉", "b")
    assert loaded.matrix.tolist() == [[1, 2], [3, 4]]


def test_memory_mapped(vectors: WordVectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "v")
    mapped = WordVectors.load(tmp_path / "v", mmap=True)
    assert isinstance(mapped.matrix, np.memmap)
    np.testing.assert_array_equal(mapped["词1"], vectors["词1"])
    vectors.save(tmp_path / "v.txt")
    with pytest.raises(ConfigError, match=r"v\.txt.*cannot be memory-mapped.*hanmo vectors convert"):
        WordVectors.load(tmp_path / "v.txt", mmap=True)


def test_safetensors_reads_our_matrix(vectors: WordVectors, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    vectors.save(tmp_path / "v")
    np.testing.assert_array_equal(load_file(tmp_path / "v" / "vectors.safetensors")["vectors"], vectors.matrix)


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_both_ways(vectors: WordVectors, tmp_path: Path, binary: bool) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed: no round trip through it")
    ours, theirs = tmp_path / ("o.bin" if binary else "o.txt"), tmp_path / "theirs"
    vectors.save(ours)
    keyed = models.KeyedVectors.load_word2vec_format(str(ours), binary=binary)
    assert tuple(keyed.index_to_key) == vectors.words
    np.testing.assert_array_equal(keyed.vectors, vectors.matrix)
    keyed.save_word2vec_format(str(theirs), binary=binary)
    back = WordVectors.load(theirs)
    assert back.words == vectors.words
    np.testing.assert_array_equal(back.matrix, vectors.matrix)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # gensim leaves its file open
def test_gensim_reads_our_glove(vectors: WordVectors, tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is not installed: no round trip through it")
    write_vectors(vectors, tmp_path / "g", "glove")
    keyed = models.KeyedVectors.load_word2vec_format(str(tmp_path / "g"), no_header=True)
    np.testing.assert_array_equal(keyed.vectors, vectors.matrix)


BAD_TEXT = {
    "ragged, short": (b"2 3\na 1 2 3\nb 1 2\n", r":3: 2 numbers where the header promises 3"),
    "ragged, long": (b"a 1 2 3\nb 1 2 3 4\n", r":2: 4 numbers where the first line has 3"),
    "count too high": (b"3 2\na 1 2\nb 1 2\n", r":1: the header promises 3 words, the file has 2"),
    "count too low": (b"1 2\na 1 2\nb 1 2\n", r":1: the header promises 1 words, the file has 2"),
    "dim": (b"2 5\na 1 2\nb 1 2\n", r":2: 2 numbers where the header promises 5"),
    "duplicate": ("3 2\n宝玉 1 2\nb 1 2\n宝玉 1 2\n".encode(), r":4: the word '宝玉' stands there a second time, first in 2"),
    "space": (b"a 1 2\nat home 1 2\n", r":2: the word 'at home' has a space in it"),
    "UTF-8": (b"a 1 2\n\n\xb1\xa6 1 2\n", r":3: the word .* is not UTF-8"),
    "NaN": (b"a 1 2\nb nan 2\n", r":2: the vector of 'b' has a number that is not finite"),
    "infinity": (b"a 1 2\nb 1 1e39\n", r":2: the vector of 'b' has a number that is not finite"),
    "no number": (b"a 1 2\nb 1 x\n", r":2: 'x' is not a number"),
    "empty": (b"", r":1: this is no line 'word number number …'"),
    "only a header": (b"0 5\n", "there is no vector in this file"),
    "prose": (b"It was the best of times.\n", r":1: "),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_text(tmp_path: Path, case: str) -> None:
    content, message = BAD_TEXT[case]
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(FormatError, match=f"bad.txt{message}" if message.startswith(":") else message):
        read_vectors(tmp_path / "bad.txt")


def test_bad_rows_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hanmo.core.progress import set_quiet

    content = b"a 1 2\nat home 1 2\nb 1\nc nan 2\n\xb1\xa6 1 2\na 5 6\nd x 1\n" + "宝玉 3 4\n".encode()
    (tmp_path / "v.txt").write_bytes(content)
    set_quiet(False)
    loaded = read_vectors(tmp_path / "v.txt", skip_bad=True)
    assert loaded.words == ("a", "宝玉")
    assert loaded.matrix.tolist() == [[1, 2], [3, 4]]
    said = capsys.readouterr().err
    assert "v.txt: 6 bad rows left out" in said
    assert "v.txt:2: the word 'at home' has a space in it" in said


def row(word: bytes, *numbers: float) -> bytes:
    return word + b" " + struct.pack(f"<{len(numbers)}f", *numbers)


BAD_BINARY = {
    "no header": (b"hello there\n", "begins with a line 'count dim'"),
    "count too high": (b"3 2\n" + row(b"a", 1, 2) + row(b"b", 1, 2), "ends in row 3 of the 3 words of dim 2"),
    "count too low": (b"1 2\n" + row(b"a", 1, 2) + row(b"b", 1, 2), "more behind the 1 words"),
    "cut short": (b"2 2\n" + row(b"a", 1, 2) + row(b"b", 1, 2)[:-1], "ends in row 2"),
    "dim": (b"2 3\n" + row(b"a", 1, 2) + row(b"b", 1, 2), "ends in row"),
    "duplicate": (b"2 2\n" + row(b"a", 1, 2) + row(b"a", 1, 2), "row 2 of 2: the word 'a' stands there a second time"),
    "UTF-8": (b"2 2\n" + row(b"a", 1, 2) + row(b"\xff\xfe", 1, 2), "row 2 of 2: the word .* is not UTF-8"),
    "NaN": (b"2 2\n" + row(b"a", 1, 2) + row(b"b", 1, float("nan")), "row 2 of 2: the vector of 'b'"),
    "no word": (b"2 2\n" + b"x" * 9999, "longer than 4096 bytes"),
    "a huge dim": (b"1 100000000000\n" + row(b"a", 1, 2), r":1: a vector of dim 100000000000 .* has 10 bytes behind"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BINARY)
def test_bad_binary(tmp_path: Path, case: str) -> None:
    content, message = BAD_BINARY[case]
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        read_vectors(tmp_path / "bad.bin", "word2vec-binary")
    assert "bad.bin" in str(caught.value)


def test_newlines_between_binary_rows(tmp_path: Path) -> None:
    (tmp_path / "c.bin").write_bytes(b"2 2\n" + row(b"a", 1, 2) + b"\n" + row("宝玉".encode(), 3, 4) + b"\n")
    assert read_vectors(tmp_path / "c.bin")["宝玉"].tolist() == [3, 4]


def _not_finite(folder: Path) -> None:
    WordVectors(["a", "宝玉"], np.full((2, 2), 1.5)).save(folder)
    file = folder / "vectors.safetensors"
    file.write_bytes(file.read_bytes()[:-8] + np.array([np.nan, 1], "<f4").tobytes())


def _edit(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = json.loads((folder / "words.json").read_text(encoding="utf-8")) | changes
        (folder / "words.json").write_text(json.dumps(table), encoding="utf-8")

    return edit


BAD_FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "NaN": (_not_finite, r"the vector of '宝玉' \(row 1\) has a number that is not finite"),
    "cut short": (
        lambda f: os.truncate(f / "vectors.safetensors", (f / "vectors.safetensors").stat().st_size - 1),
        "cut short",
    ),
    "no matrix": (lambda f: (f / "vectors.safetensors").unlink(), "a file is missing"),
    "garbage": (lambda f: (f / "vectors.safetensors").write_bytes(b"garbage" * 9), "no safetensors file"),
    "empty": (lambda f: (f / "vectors.safetensors").write_bytes(b""), "no safetensors file"),
    "no JSON": (lambda f: (f / "words.json").write_text("{"), "words.json:1: not valid JSON"),
    "no words": (_edit(words=None), "no list of words"),
    "a word too many": (_edit(words=["a", "b", "c"]), r"3 words need a matrix"),
    "duplicate": (_edit(words=["a", "a"]), "'a' stands there twice, in rows 0 and 1"),
    "counts": (_edit(counts=[1, "2"]), "'counts' is no list of whole numbers"),
}


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_bad_folder(tmp_path: Path, case: str) -> None:
    damage, message = BAD_FOLDERS[case]
    folder = tmp_path / "v"
    WordVectors(["a", "b"], np.ones((2, 2))).save(folder)
    damage(folder)
    with pytest.raises(HanmoError, match=message) as caught:
        WordVectors.load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v"])
def test_numbers_that_are_not_finite_are_not_written(tmp_path: Path, name: str) -> None:
    """Those of a mapped matrix were never looked at."""
    _not_finite(tmp_path / "damaged")
    mapped = WordVectors.load(tmp_path / "damaged", mmap=True)
    WordVectors(["旧"], np.ones((1, 2))).save(tmp_path / name)
    with pytest.raises(DataError, match=r"damaged: the vector of '宝玉' \(row 1\) has a number that is not finite"):
        mapped.save(tmp_path / name)
    assert WordVectors.load(tmp_path / name).words == ("旧",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", name]


def test_pieces_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    pieces = Subwords(SubwordSettings(), np.array([3], np.int32), np.array([[np.inf, 0]], np.float32))
    with pytest.raises(DataError, match="a sub-word"):
        WordVectors(["宝玉"], np.ones((1, 2)), subwords=pieces).save(tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


def test_only_vectors_are_replaced(vectors: WordVectors, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    vectors.save(precious)  # an empty folder
    vectors.save(precious)
    (tmp_path / "论文").mkdir()
    (tmp_path / "论文" / "thesis.txt").write_text("年")
    with pytest.raises(ConfigError, match=r"no words\.json in it"):
        vectors.save(tmp_path / "论文")
    assert (tmp_path / "论文" / "thesis.txt").read_text() == "年"


def test_a_packed_file_is_not_written(vectors: WordVectors, tmp_path: Path) -> None:
    for form in (None, "word2vec"):
        with pytest.raises(ConfigError, match=r"o\.txt\.gz.*packed.*Write o\.txt"):
            write_vectors(vectors, tmp_path / "o.txt.gz", form)
    assert list(tmp_path.iterdir()) == []


def test_not_there_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_vectors(tmp_path / "none")
    with pytest.raises(DataError, match="holds no vectors"):
        read_vectors(tmp_path)
    (tmp_path / "v.gz").write_bytes(gzip.compress(b"a 1 2\n" * 1000)[:-20])
    with pytest.raises(FormatError, match=r"v\.gz: a damaged \.gz"):
        read_vectors(tmp_path / "v.gz", "glove")
    with pytest.raises(ConfigError, match=r"unknown form 'npy'.*hanmo, word2vec"):
        read_vectors(tmp_path / "v", "npy")  # type: ignore[arg-type] (what is tested)


@pytest.mark.parametrize("name", ["v.txt", "v.bin"])
def test_words_with_spaces_only_in_our_own_form(tmp_path: Path, name: str) -> None:
    vectors = WordVectors(["a", "New York"], np.ones((2, 2)))
    with pytest.raises(DataError, match=r"'New York' \(row 1\) has white space"):
        vectors.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    vectors.save(tmp_path / "own")
    assert "New York" in WordVectors.load(tmp_path / "own")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may be longer than 4 KB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v"])
@pytest.mark.usefixtures("full_disk")
def test_full_disk_keeps_the_old_file(vectors: WordVectors, tmp_path: Path, name: str) -> None:
    old = WordVectors(["a"], np.ones((1, 2)))
    old.save(tmp_path / name)
    with pytest.raises(StorageError):
        vectors.save(tmp_path / name)
    assert WordVectors.load(tmp_path / name).words == ("a",)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_reading_is_bounded() -> None:
    assert reading_module.BLOCK_BYTES <= 2**26
