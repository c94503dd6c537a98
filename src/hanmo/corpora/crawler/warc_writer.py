"""Writing web archives: WARC 1.1 (ISO 28500:2017), a gzip member per record."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import uuid
from pathlib import Path

from hanmo.core.errors import storage_error
from hanmo.corpora.crawler.fetch import Response

__all__ = ["WarcWriter"]

_LEVEL = 6
"""Of gzip."""


class WarcWriter:
    """Appends records to a file, each whole before the next one begins.

    Args:
        path: the file, `.warc.gz`; what stands in it behind `size` is cut off.
        size: bytes of it that are whole; 0 for a new file.

    Raises:
        StorageError: if the disk is full or may not be written; also while writing.
    """

    def __init__(self, path: Path, size: int = 0):
        self._path = path
        try:
            self._file = open(path, "ab")  # noqa: SIM115 - closed by `close`
            self._file.truncate(size)
        except OSError as error:
            raise storage_error(error, path) from error
        self.size = size

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write_info(self, fields: dict[str, str]) -> None:
        """Write the record that says how this file came to be."""
        block = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("utf-8")
        headers = {"WARC-Filename": self._path.name, "Content-Type": "application/warc-fields"}
        self._write(_record("warcinfo", _new_id(), headers, block))

    def write_page(self, answer: Response, url: str) -> None:
        """Write a request and its answer, as they were sent."""
        request_id, response_id = _new_id(), _new_id()
        shared = {"WARC-Target-URI": url, "WARC-IP-Address": answer.address}
        headers = shared | {"Content-Type": "application/http; msgtype=response"}
        headers["WARC-Block-Digest"] = _digest(answer.raw)
        response = _record("response", response_id, headers, answer.raw)
        headers = shared | {"WARC-Concurrent-To": response_id, "Content-Type": "application/http; msgtype=request"}
        self._write(_record("request", request_id, headers, answer.request) + response)

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise storage_error(error, self._path) from error
        self.size += len(data)


def _record(kind: str, identifier: str, headers: dict[str, str], block: bytes) -> bytes:
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = {"WARC-Type": kind, "WARC-Record-ID": identifier, "WARC-Date": date} | headers
    lines["Content-Length"] = str(len(block))
    head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    return gzip.compress(head.encode("utf-8") + block + b"\r\n\r\n", _LEVEL, mtime=0)


def _new_id() -> str:
    return f"<urn:uuid:{uuid.uuid4()}>"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")
