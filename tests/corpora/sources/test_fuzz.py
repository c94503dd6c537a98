"""Every reader on bytes that mean nothing and on damaged files of its kind: documents or reasons, nothing else."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import DataError, FormatError
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import KINDS, SourceFile, read_file
from tiny_pdf import make_pdf

pytestmark = pytest.mark.skipif(find_spec("pyarrow") is None, reason="the extra 'corpus' is not installed")

N_EXAMPLES = 500 if os.environ.get("HYPOTHESIS_PROFILE") == "explore" else 8
TEXT = "今天天气很好，我们一起去公园里走一走。A plain sentence in English, too.\n"


def _page() -> bytes:
    return f'<html><head><meta charset="utf-8"></head><body><p>{TEXT}</p><!-- x --></body></html>'.encode()


def _dump() -> bytes:
    page = f"<page><title>甲</title><ns>0</ns><id>1</id><revision><text>'''甲''' {{{{x}}}} [[乙]] {TEXT}</text></revision></page>"
    return f'<mediawiki xml:lang="zh">{page * 2}</mediawiki>'.encode()


def _warc() -> bytes:
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + _page()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head.encode() + body + b"\r\n\r\n") * 2


def _zip(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


def _docx() -> bytes:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = f"<w:document {space}><w:body><w:p><w:r><w:t>{TEXT}</w:t></w:r></w:p></w:body></w:document>"
    return _zip({"word/document.xml": body.encode()})


def _epub() -> bytes:
    package = '<package><manifest><item id="a" href="a.html" media-type="text/html"/></manifest>'
    package += '<spine><itemref idref="a"/></spine></package>'
    container = '<container><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>'
    return _zip({"META-INF/container.xml": container.encode(), "c.opf": package.encode(), "a.html": _page()})


def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    data = io.BytesIO()
    parquet.write_table(pa.table({"id": ["a", "b"], "text": [TEXT, None]}), data)
    return data.getvalue()


WHOLE: dict[str, Callable[[], bytes]] = {
    ".txt": lambda: TEXT.encode("gb18030") * 3,
    ".md": lambda: f"# 标题\n\n{TEXT}".encode(),
    ".rst": lambda: TEXT.encode("utf-16"),
    ".py": lambda: f"# -*- coding: utf-8 -*-\nx = '{TEXT[:10]}'\n".encode(),
    ".html": _page,
    ".htm": _page,
    ".json": lambda: f'[{{"text": "{TEXT.strip()}"}}, {{"text": ["{TEXT.strip()}", "床前明月光，"]}}]'.encode(),
    ".jsonl": lambda: f'{{"text": "{TEXT.strip()}", "meta": {{"group": "g"}}}}\n'.encode() * 3,
    ".csv": lambda: f'id,text\n1,"{TEXT}"\n2,x\n'.encode(),
    ".tsv": lambda: f"id\ttext\n1\t{TEXT}2\tx\n".encode(),
    ".xml": _dump,
    ".warc": _warc,
    ".wet": _warc,
    ".docx": _docx,
    ".epub": _epub,
    ".parquet": _parquet,
    ".pdf": lambda: make_pdf([TEXT.strip().split("。"), ["第二页"]]),
}


@functools.cache
def whole(kind: str) -> bytes:
    return WHOLE[kind]()


def damage(data: bytes, draw: Callable[[st.SearchStrategy], int]) -> bytes:
    """Change, repeat or remove a few stretches."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 5))):
        place = draw(st.integers(0, max(len(out) - 1, 0)))
        end = min(place + draw(st.integers(0, 9)), len(out))
        out[place:end] = draw(
            st.one_of(st.binary(max_size=8), st.just(bytes(out[place:end]) * 3), st.sampled_from([b"\0", b"\xff" * 4]))
        )
    return bytes(out)


def items(path: Path) -> Iterator[Document | Skipped]:
    limits = CorpusSettings(max_file_bytes=2**20, max_record_bytes=2**17, max_record_seconds=20)
    yield from read_file(SourceFile(path, path.name), limits)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x{kind}"
    path.write_bytes(whole(kind))
    assert any(isinstance(item, Document) for item in items(path))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=N_EXAMPLES)
@given(data=st.data())
def test_damaged_files_give_documents_or_reasons(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{kind}"
    broken = data.draw(st.binary(max_size=300)) if data.draw(st.integers(0, 3)) == 0 else damage(whole(kind), data.draw)
    pack = data.draw(st.sampled_from([bytes, bytes, gzip.compress, bz2.compress]))
    path.write_bytes(pack(broken))
    started = time.monotonic()
    for item in items(path):
        assert isinstance(item, Document | Skipped)
        (item.text if isinstance(item, Document) else item.reason).encode("utf-8", "surrogatepass")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("kind", KINDS)
def test_readers_raise_only_errors_of_the_house(kind: str) -> None:
    for data in (b"", b"\0" * 100, b"\xff\xfe\0\xd8", whole(kind)[: len(whole(kind)) // 2], b"<" * 1000, b"PK\x03\x04"):
        try:
            list(KINDS[kind](io.BytesIO(data), "x", CorpusSettings()))
        except (FormatError, DataError) as error:
            assert error.what  # noqa: PT017 - some of them are read
