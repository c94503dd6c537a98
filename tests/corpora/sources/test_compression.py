from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import FormatError
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.compression import bytes_read, open_stream, problem_of
from hanmo.corpora.sources.files import SourceFile, list_files, read_file

zstandard = pytest.importorskip("zstandard", reason="the extra 'corpus' is not installed")

CHINESE = "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候来过的，现在已经变了很多。"
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": lambda data: bz2.compress(data, 1),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": lambda data: zstandard.compress(data),
}
each = pytest.mark.parametrize("ending", COMPRESS)


def read(path: Path, **values: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(values)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def lines(n: int) -> bytes:
    rng = random.Random(0)
    return "".join(f'{{"text": "第{i}句，{rng.random()}"}}\n' for i in range(n)).encode()


@each
@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.txt.bz2", "x.txt.XZ", "x.txt.zst", "x.md"])
def test_the_first_bytes_tell_not_the_name(tmp_path: Path, ending: str, name: str) -> None:
    (tmp_path / name).write_bytes(COMPRESS[ending](CHINESE.encode("gb18030")))
    (document,), skipped = read(tmp_path / name)
    assert (document.text, skipped) == (CHINESE, [])
    assert list_files(tmp_path)[0][0].name == name


@each
def test_several_members_and_padding(tmp_path: Path, ending: str) -> None:
    pack = COMPRESS[ending]
    (tmp_path / "x.txt").write_bytes(pack(b"one ") + pack(b"") + pack("二".encode()) + b"\0" * 512)
    assert [document.text for document in read(tmp_path / "x.txt")[0]] == ["one 二"]
    (tmp_path / "x.txt").write_bytes(pack(b"one\n") + b"more")
    (document,), (skip,) = read(tmp_path / "x.txt")
    assert (document.text, "behind the end" in skip.reason) == ("one\n", True)


@each
def test_a_stream_that_is_cut_off_gives_its_whole_rows(tmp_path: Path, ending: str) -> None:
    path, data = tmp_path / ("x.jsonl" + ending), lines(30_000)
    packed = COMPRESS[ending](data)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    documents, skipped = read(path)
    assert len(documents) > 5_000
    assert [document.text for document in documents] == [
        line.split('"')[3] for line in data.decode().split("\n")[: len(documents)]
    ]
    assert [item.source for item in skipped] == [path.name]
    assert "cannot be read to its end" in skipped[0].reason


@each
def test_damage_in_the_middle_is_said(tmp_path: Path, ending: str) -> None:
    path, packed = tmp_path / ("x.jsonl" + ending), bytearray(COMPRESS[ending](lines(30_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 50] = b"\xff" * 50
    path.write_bytes(packed)
    documents, skipped = read(path)
    assert len(documents) < 30_000
    assert skipped[-1].source == path.name
    if ending not in (
        ".gz",
        ".zst",
    ):  # they notice at the end of a member or block, when the bytes are garbage in no encoding
        assert documents
        assert "cannot be read to its end" in skipped[-1].reason


@each
def test_bombs_stop_at_the_ratio_and_at_the_size(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ("x.txt" + ending)
    path.write_bytes(COMPRESS[ending](bytes(100_000_000)))
    started = time.monotonic()
    tracemalloc.start()
    assert read(path) == (
        [],
        [Skipped(source=path.name, reason="decompresses to more than 200 times its size (max_gzip_ratio)")],
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000
    assert time.monotonic() - started < 2
    assert "max_file_bytes" in read(path, max_gzip_ratio=1e9, max_file_bytes=5_000_000)[1][0].reason


def test_a_gigabyte_from_a_megabyte(tmp_path: Path) -> None:
    once = gzip.compress(bytes(2**24))
    (tmp_path / "x.txt.gz").write_bytes(once * 64)
    assert "200 times" in read(tmp_path / "x.txt.gz")[1][0].reason


def test_zstandard_with_frames_to_pass_over(tmp_path: Path) -> None:
    other = b"\x5a\x2a\x4d\x18\x04\0\0\0abcd"
    (tmp_path / "x.txt").write_bytes(other + zstandard.compress("一".encode()) + other + zstandard.compress(b"two"))
    assert [document.text for document in read(tmp_path / "x.txt")[0]] == ["一two"]


def test_zstandard_with_a_huge_window_or_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    (tmp_path / "x.txt.zst").write_bytes(packer.compress(lines(10)) + packer.flush())
    assert "cannot be read to its end" in read(tmp_path / "x.txt.zst")[1][0].reason
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "hanmo[corpus]" in read(tmp_path / "x.txt.zst")[1][0].reason


@each
def test_bytes_read_are_those_of_the_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ("x.txt" + ending)
    path.write_bytes(COMPRESS[ending](lines(30_000)))
    with open_stream(path, CorpusSettings()) as stream:
        stream.read(1_000)
        assert 0 < bytes_read(stream) < path.stat().st_size
        stream.read()
        assert bytes_read(stream) == path.stat().st_size


def test_a_text_that_begins_like_bzip2(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("BZh9 is how a file of bzip2 begins.")
    assert read(tmp_path / "x.txt")[0][0].text.startswith("BZh9 is")


@settings(max_examples=150, deadline=2000)
@given(st.data())
def test_any_damage_ends_the_stream_or_raises_a_format_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.bin"
    ending = data.draw(st.sampled_from(list(COMPRESS)))
    packed = bytearray(COMPRESS[ending](lines(40)) + COMPRESS[ending](lines(3)))
    for _ in range(data.draw(st.integers(1, 6))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(packed[: data.draw(st.integers(0, len(packed)))])
    whole = lines(40) + lines(3)
    with open_stream(path, CorpusSettings(), is_archive=data.draw(st.booleans())) as stream:
        try:
            read = stream.read()
        except FormatError:
            return
        assert problem_of(stream) is not None or len(read) <= len(whole) or read == path.read_bytes()
