from __future__ import annotations

import gzip
import shutil
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.html_pages import decode_page

CHINESE = "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候来过的，现在已经变了很多。" * 4
ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the whole village minds it at all. " * 4


def html(text: str, meta: str = "") -> str:
    return f"<html><head>{meta}<title>t</title></head><body><article><p>{text}</p></article></body></html>"


def record(block: bytes, kind: str = "response", content_type: str = "application/http; msgtype=response", n: int = -1):
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://x.org/{kind}\r\nWARC-Date: 2020-08-08T17:27:41Z\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block) if n < 0 else n}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def http(body: bytes, *headers: str, status: str = "200 OK", content_type: str = "text/html") -> bytes:
    lines = "".join(f"{line}\r\n" for line in (f"Content-Type: {content_type}", *headers))
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def read(path: Path, **values: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(values)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def chunked(data: bytes, size: int = 100) -> bytes:
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def raw_deflate(data: bytes) -> bytes:
    inner = zlib.compressobj(wbits=-15)
    return inner.compress(data) + inner.flush()


PAGE = html(CHINESE).encode()
GOOD = {
    "plain": http(PAGE),
    "charset in the header": http(html(CHINESE).encode("gb18030"), content_type="text/html; charset=gb2312"),
    "charset in <meta>": http(html(CHINESE, '<meta charset="big5">').replace("气", "氣").replace("们", "們")
                              .replace("园", "園").replace("说", "說").replace("这", "這").replace("个", "個")
                              .replace("时", "時").replace("来", "來").replace("过", "過").replace("现", "現")
                              .replace("经", "經").replace("变", "變").replace("后", "後").encode("big5")),
    "a wrong charset": http(html(CHINESE).encode("gb18030"), content_type="text/html; charset=utf-8"),
    "another wrong charset": http(PAGE, content_type="text/html; charset=iso-8859-1"),
    "chunks": http(chunked(PAGE), "Transfer-Encoding: chunked"),
    "chunks that are none": http(PAGE, "Transfer-Encoding: chunked"),
    "gzip": http(gzip.compress(PAGE), "Content-Encoding: gzip"),
    "gzip that is none": http(PAGE, "Content-Encoding: gzip"),
    "deflate": http(zlib.compress(PAGE), "Content-Encoding: deflate"),
    "raw deflate": http(raw_deflate(PAGE), "Content-Encoding: deflate"),
    "both": http(chunked(gzip.compress(PAGE)), "Transfer-Encoding: chunked", "Content-Encoding: gzip"),
}  # fmt: skip
BAD = {
    "HTTP status 4xx": record(http(PAGE, status="404 Not Found")),
    "content that is neither HTML nor plain text": record(http(b"\x89PNG", content_type="image/png")),
    "no valid HTTP header": record(b"no header"),
    "response of another protocol than HTTP": record(b"x", content_type="text/dns"),
    "a page that was met before (revisit)": record(b"", "revisit"),
    "record of an unknown type": record(b"x", "surprise"),
    "no main text found in this page": record(http(b"<html></html>")),
    "damaged compressed content": record(http(gzip.compress(PAGE)[:-8] + b"\xff" * 8, "Content-Encoding: gzip")),
    "content compressed in a way that is not read (br, zstd)": record(http(b"\x0b\x02\x80", "Content-Encoding: br")),
    "content decompresses to too much (max_record_bytes, max_gzip_ratio)": record(
        http(gzip.compress(bytes(40_000_000)), "Content-Encoding: gzip")
    ),
    "record without a valid Content-Length": record(b"x").replace(b"Content-Length: 1", b"Content-Length: -1"),
    "record too large (max_record_bytes)": record(bytes(17 * 2**20)),
    "record is not as long as its Content-Length": record(http(PAGE), n=30),
}
INFO = record(b"isPartOf: CC", "warcinfo", "application/warc-fields")
extra = pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("ending", [".warc", ".warc.gz"])
def test_pages(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / ("x" + ending)
    records = [INFO, record(b"GET /", "request"), record(GOOD[name]), record(http(html(ENGLISH).encode()))]
    path.write_bytes(b"".join(gzip.compress(r) if ending.endswith(".gz") else r for r in records))
    documents, skipped = read(path)
    assert skipped == []
    assert [document.id for document in documents] == [f"{path.name}#3", f"{path.name}#4"]
    assert "公園" in documents[0].text or CHINESE in documents[0].text
    assert documents[1].text.strip() == ENGLISH.strip()
    assert documents[0].meta["url"] == "http://x.org/response"


@pytest.mark.parametrize("reason", BAD)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_bad_records_are_skipped_by_number(tmp_path: Path, reason: str, pack) -> None:
    (tmp_path / "x.warc").write_bytes(b"".join(map(pack, (INFO, BAD[reason], record(http(PAGE))))))
    documents, skipped = read(tmp_path / "x.warc", max_gzip_ratio=2000)
    assert [document.text for document in documents] == [CHINESE]
    assert skipped[0] == Skipped(source="x.warc#2", reason=reason)


def test_the_text_of_wet_files(tmp_path: Path) -> None:
    path = tmp_path / "CC-MAIN-20200808165417-00395.warc.wet.gz"
    texts = [CHINESE + "\n第二行", ENGLISH]
    path.write_bytes(b"".join(gzip.compress(record(text.encode(), "conversion", "text/plain")) for text in texts))
    documents, skipped = read(path)
    assert ([document.text for document in documents], skipped) == (texts, [])


def test_a_length_that_swallows_the_next_record(tmp_path: Path) -> None:
    records = record(http(PAGE), n=len(http(PAGE)) + 300) + record(http(PAGE)) + record(http(html(ENGLISH).encode()))
    (tmp_path / "x.warc").write_bytes(records)
    documents, skipped = read(tmp_path / "x.warc")
    assert len(documents) == 2
    assert skipped == [Skipped(source="x.warc#1", reason="record is not as long as its Content-Length")]


def test_reading_goes_on_behind_a_damaged_member(tmp_path: Path) -> None:
    members = [bytearray(gzip.compress(record(http(html(f"{n} " + CHINESE).encode())))) for n in range(8)]
    for place in (30, 60, 90):
        members[3][place] ^= 0xFF
    path = tmp_path / "x.warc.gz"
    path.write_bytes(b"".join(members) + bytes(members[0])[:100])
    documents, skipped = read(path)
    assert [document.text[0] for document in documents] == list("0124567")
    assert skipped[-1].source == "x.warc.gz"


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"WARC/1.0", b"\n" * 99, b"http://x 1.1.1.1 2014 text/html 5\nabc"]
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.warc").write_bytes(content)
    documents, skipped = read(tmp_path / "x.warc")
    assert (documents, len(skipped)) == ([], 1)


@pytest.mark.slow
def test_hostile_lengths_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    (tmp_path / "x.warc").write_bytes(b"WARC/1.0\r\nContent-Length: 9999999\r\n\r\nx" * 50_000 + b"\n")
    (tmp_path / "y.warc").write_bytes(b"\nWARC/1.0\r\nContent-Length: 999999\r\n\r\nx" * 50_000 + b"\n")
    started = time.process_time()
    tracemalloc.start()
    for name in ("x.warc", "y.warc"):
        assert read(tmp_path / name)[0] == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (time.process_time() - started < 20, peak < 100_000_000) == (True, True)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    (tmp_path / "x.warc").write_bytes(record(http(PAGE)))
    assert "hanmo[corpus]" in read(tmp_path / "x.warc")[1][0].reason


@pytest.mark.parametrize("label", ["hex", "rot13", "idna", "no such", "\x00", "", "utf-7", "unicode_escape"])
def test_a_charset_that_is_no_encoding(label: str) -> None:
    assert decode_page("今天天气很好，我们一起去公园里走一走。".encode("gb18030"), label).encoding == "gb18030"


FUZZ = INFO + record(GOOD["both"]) + record(GOOD["deflate"]) + record(b"text \xe4\xb8\x80", "conversion", "text/plain")


@settings(max_examples=200, deadline=2000)
@given(st.data())
def test_any_damage_is_skipped(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.warc"
    content = bytearray(FUZZ)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=9))
    path.write_bytes(gzip.compress(content) if data.draw(st.booleans()) else content)
    read(path)


def test_a_real_file_of_common_crawl(data_root: Path) -> None:
    documents, skipped = read(data_root / "warc" / "warcfile.warc.gz")
    assert (len(documents), skipped) == (16, [])
    assert {document.meta["encoding"] for document in documents} >= {"utf-8", "gb18030", "cp1251"}
    assert any("пожарной безопасности" in document.text for document in documents)
    assert not any("\ufffd" in document.text for document in documents if document.meta["encoding"] != "utf-8")


def test_real_broken_files(data_root: Path, tmp_path: Path) -> None:
    counts = {}
    for file in sorted((data_root / "warc").glob("*.warc*")):
        path = tmp_path / file.name.removesuffix(".bad")
        shutil.copyfile(file, path)
        documents, skipped = read(path)
        counts[file.name] = (len(documents), len(skipped))
    assert counts == {
        "clipped.warc.gz": (0, 2),
        "example-bad-non-chunked.warc.gz": (1, 1),
        "example-bad.warc.gz.bad": (1, 2),
        "example-digest.warc": (0, 0),
        "example-iana.org-chunked.warc": (1, 0),
        "example-resource.warc.gz": (1, 0),
        "example-space-in-target-uri.warc.gz": (0, 1),
        "example-trunc.warc": (0, 2),
        "example-wget-bad-target-uri.warc.gz": (1, 2),
        "example-wrong-chunks.warc.gz": (1, 0),
        "example.warc": (1, 1),
        "example.warc.gz": (1, 1),
        "post-test.warc.gz": (0, 3),
        "warcfile.warc.gz": (16, 0),
    }
