"""Web archives: WARC 1.0 and 1.1 (ISO 28500), and the WET files of Common Crawl, record by record.

Records are held one at a time. A record whose length is wrong is left at the next line that begins one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from hanmo.core.errors import FormatError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.compression import problem_of
from hanmo.corpora.sources.html_pages import decode_page, main_text
from hanmo.corpora.sources.readers import Text

__all__ = ["read_warc"]

_CHUNK_BYTES = 2**16
_MAX_HEADER_BYTES = 2**16
_START = re.compile(rb"WARC/[01]\.\d{1,2}[ \t]*\r?\n")
_START_BYTES = 16
"""Longest line that begins a record."""
_EMPTY_LINE = re.compile(rb"\n\r?\n")
_NEXT_START = re.compile(rb"\n(?=" + _START.pattern + rb")")
_STATUS = re.compile(rb"HTTP/[\d.]{1,5}[ \t]+(\d{3})")
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_NO_TEXT = frozenset({"warcinfo", "request", "metadata", "continuation"})
"""Types of records that are about other records."""

_Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Record:
    """A record: its headers, names in lower case, and what follows them."""

    headers: _Headers
    block: bytes


class _Records:
    """The records of a stream, each a `_Record` or the reason why it is skipped."""

    def __init__(self, stream: IO[bytes], max_bytes: int):
        self._stream, self._max_bytes = stream, max_bytes
        self._buffer = bytearray()  # cut off in front, which moves nothing

    def __iter__(self) -> Iterator[_Record | str]:
        if not self._seek_start():
            raise FormatError("no WARC record in this file")
        while True:
            yield self._read_record()
            while self._fill(1) and self._buffer[0] in b"\r\n":
                del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
            if not self._buffer:
                return
            self._fill(_START_BYTES)
            if not _START.match(self._buffer):
                found = self._seek_start()
                yield "bytes between two records" if found else "bytes behind the last record"
                if not found:
                    return

    def _fill(self, size: int) -> bool:
        """Hold at least `size` bytes, if there are as many."""
        while len(self._buffer) < size and (block := self._stream.read(_CHUNK_BYTES)):
            self._buffer += block
        return len(self._buffer) >= size

    def _seek_start(self) -> bool:
        """Go to the next line that begins a record."""
        while self._fill(1):
            self._fill(_CHUNK_BYTES)
            if _START.match(self._buffer):
                return True
            if found := _NEXT_START.search(self._buffer):
                del self._buffer[: found.end()]
                return True
            del self._buffer[: max(len(self._buffer) - _START_BYTES, 1)]
        return False

    def _read_record(self) -> _Record | str:
        self._fill(_MAX_HEADER_BYTES)
        head, start = _split_head(bytes(self._buffer[: self._head_bytes()]))
        if start is None:
            del self._buffer[:5]
            return "record header without end"
        headers = _parse_headers(head)
        length = headers.get("content-length", "")
        del self._buffer[:start]
        if not re.fullmatch(r"[0-9]{1,15}", length):
            return "record without a valid Content-Length"
        size = int(length)
        if size > self._max_bytes:
            return "record too large (max_record_bytes)" if self._skip(size) else "record is cut off"
        self._fill(size + 2)
        is_whole, behind = len(self._buffer) >= size, bytes(self._buffer[size : size + 2])
        if is_whole and (not behind or behind[:1] == b"\n" or behind == b"\r\n"):
            block = bytes(self._buffer[:size])
            del self._buffer[:size]
            return _Record(headers, block)
        # A wrong length, or damage: the next record may begin inside of what was taken for this one.
        found = _NEXT_START.search(self._buffer, 0, size)
        del self._buffer[: found.end() if found else size]
        return "record is not as long as its Content-Length" if is_whole or found else "record is cut off"

    def _head_bytes(self) -> int:
        """How far a header can reach: to the first empty line, most often near."""
        near = _EMPTY_LINE.search(self._buffer, 0, _MAX_HEADER_BYTES)
        return min(near.end() if near else _MAX_HEADER_BYTES, _MAX_HEADER_BYTES)

    def _skip(self, size: int) -> bool:
        """Pass over `size` bytes without holding them."""
        while size > len(self._buffer):
            size -= len(self._buffer)
            self._buffer.clear()
            if not self._fill(1):
                return False
        del self._buffer[:size]
        return True


def _split_head(data: bytes) -> tuple[bytes, int | None]:
    """The header lines, and where they end; None where no empty line ends them."""
    found = _EMPTY_LINE.search(data)
    return (data[: found.start()], found.end()) if found else (b"", None)


def _parse_headers(head: bytes) -> _Headers:
    """Headers by name in lower case, the first of a name; a line that is none is left out."""
    headers: _Headers = {}
    name = ""
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in " \t" and name:
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            headers.setdefault(name, value.strip())
    return headers


def read_warc(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the pages of a web archive: the main text of HTML, plain text as it is. Pages without text, of other types,
    not found and damaged are skipped, by the number of the record; records about records are left out.

    Raises:
        FormatError: if there is no record in the file.
        MissingExtraError: if trafilatura is not installed.
    """
    for number, record in enumerate(_Records(stream, settings.max_record_bytes), 1):
        if isinstance(record, _Record):
            if record.headers.get("warc-type", "").lower() in _NO_TEXT:
                continue
            try:
                item = _read_page(record, settings)
            except FormatError as error:
                item = error.what
        else:
            item = "record is cut off" if problem_of(stream) and record.startswith("bytes behind") else record
        if isinstance(item, str):
            yield Skipped(source=f"{name}#{number}", reason=item)
        else:
            yield Text(text=item.text, part=str(number), meta=item.meta)


def _read_page(record: _Record, settings: CorpusSettings) -> Text | str:
    """The text of a record, or why it is skipped."""
    kind = record.headers.get("warc-type", "").lower()
    content_type, data = record.headers.get("content-type", ""), record.block
    if kind == "revisit":
        return "a page that was met before (revisit)"
    if kind not in ("response", "resource", "conversion"):
        return "record of an unknown type"
    if record.headers.get("warc-target-uri", "").lstrip("<").startswith("metadata:"):
        return "a log of the crawler"
    if kind == "response":
        if not content_type.lower().replace(" ", "").startswith("application/http"):
            return "response of another protocol than HTTP"
        head, body = _split_head(data[:_MAX_HEADER_BYTES])
        status = _STATUS.match(head)
        if body is None or status is None:
            return "no valid HTTP header"
        if status[1] != b"200":
            return f"HTTP status {status[1].decode()[0]}xx"
        headers = _parse_headers(head)
        content_type = headers.get("content-type", "text/html")
        data = _decode_transfer(data[body:], headers, settings.max_record_bytes, settings.max_gzip_ratio)
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    if media not in _HTML and media != "text/plain":
        return "content that is neither HTML nor plain text"
    charset = re.search(r"charset\s?=\s?[\"']?([\w.:\-]{2,30})", parameters, re.IGNORECASE)
    decoded = decode_page(data, charset[1] if charset else None)
    is_html, seconds = media in _HTML, settings.max_record_seconds
    text = main_text(decoded.text, max_seconds=seconds) if is_html else decoded.text
    if not text or text.isspace():
        return "no main text found in this page"
    meta = {"encoding": decoded.encoding}
    for key, header in (("url", "warc-target-uri"), ("date", "warc-date")):
        if header in record.headers:
            meta[key] = record.headers[header].strip("<>")[:2_000]
    return Text(text=text, meta=meta)


def _decode_transfer(data: bytes, headers: _Headers, max_bytes: int, max_ratio: float) -> bytes:
    """The body as it was before it was sent. What a header says and the bytes do not is not believed: crawlers undo
    chunks and compression and leave the header.

    Raises:
        FormatError: for a bomb, damage, or a compression that is not read.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        data = _join_chunks(data)
    for coding in reversed(headers.get("content-encoding", "").lower().split(",")[:4]):
        coding = coding.strip()
        if coding in ("gzip", "x-gzip") and data.startswith(b"\x1f\x8b"):
            data = _inflate(data, 31, max_bytes, max_ratio)
        elif coding == "deflate" and not data.lstrip().startswith(b"<"):
            is_zlib = len(data) > 1 and data[0] & 15 == 8 and (data[0] * 256 + data[1]) % 31 == 0
            data = _inflate(data, 15 if is_zlib else -15, max_bytes, max_ratio)
        elif coding in ("br", "zstd", "compress") and not data.lstrip().startswith(b"<"):
            raise FormatError("content compressed in a way that is not read (br, zstd)")
    return data


def _join_chunks(data: bytes) -> bytes:
    """The chunks of a body, joined (RFC 9112, §7.1), up to where they end; the body itself where it has none."""
    parts, place = [], 0
    while found := re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,200}\r?\n").match(data, place):
        size = int(found[1], 16)
        if size == 0:
            break
        parts.append(data[found.end() : found.end() + size])
        place = found.end() + size
        place += 2 if data.startswith(b"\r\n", place) else data.startswith(b"\n", place)
    return b"".join(parts) if parts else data


def _inflate(data: bytes, wbits: int, max_bytes: int, max_ratio: float) -> bytes:
    inner, parts, size, limit = zlib.decompressobj(wbits), [], 0, min(max_bytes, int(max_ratio * len(data)) + 2**20)
    while data and not inner.eof:
        try:
            parts.append(inner.decompress(data, _CHUNK_BYTES))
        except zlib.error as error:
            raise FormatError("damaged compressed content") from error
        size, data = size + len(parts[-1]), inner.unconsumed_tail
        if size > limit:
            raise FormatError("content decompresses to too much (max_record_bytes, max_gzip_ratio)")
    return b"".join(parts)
