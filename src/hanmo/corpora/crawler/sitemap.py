"""Sitemaps: XML, an index of them, plain lists, also packed with gzip (sitemaps.org protocol 0.9)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from hanmo.core.errors import FormatError
from hanmo.corpora.crawler.links import normalise
from hanmo.corpora.sources.compression import Unpacked
from hanmo.corpora.sources.guarded_xml import Attributes, XmlHandler, parse_xml

__all__ = ["MAX_SITEMAP_BYTES", "Sitemap", "read_sitemap"]

MAX_SITEMAP_BYTES = 50 * 2**20
"""Largest sitemap, in bytes, packed and unpacked (the limit of the protocol)."""
_MAX_ADDRESSES = 50_000
"""Addresses of one sitemap (the limit of the protocol)."""
_MAX_RATIO = 200.0
_MAX_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What a sitemap lists, normalised, each once."""

    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]
    problem: str | None = None
    """Why it was not read to its end."""


class _Handler(XmlHandler):
    def __init__(self) -> None:
        super().__init__()
        self._parent, self._text = "", ""
        self._is_location = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name in ("url", "sitemap"):
            self._parent = name
        self._is_location, self._text = name == "loc", ""

    def characters(self, text: str) -> None:
        if self._is_location and len(self._text) < _MAX_CHARS:
            self._text += text

    def end(self, name: str) -> None:
        if name == "loc" and self._parent:
            self.done.append((self._parent, self._text.strip()))
        self._is_location = False
        if name == self._parent:
            self._parent = ""


def read_sitemap(data: bytes, url: str) -> Sitemap:
    """Read a sitemap as far as it is valid and within the limits.

    Args:
        data: its bytes.
        url: where it was found.
    """
    found: dict[str, dict[str, None]] = {"url": {}, "sitemap": {}}
    problem = None
    try:
        if data.startswith(b"\x1f\x8b"):
            unpacked = Unpacked(
                io.BytesIO(data), "gzip", max_bytes=MAX_SITEMAP_BYTES, max_ratio=_MAX_RATIO, skip_damage=False
            )
            data, problem = unpacked.readall() or b"", unpacked.problem
        is_list = data[:100].lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"http://", b"https://"))
        entries = _lines(data) if is_list else parse_xml(io.BytesIO(data), _Handler())
        for number, (kind, address) in enumerate(entries):
            if number == _MAX_ADDRESSES:
                problem = f"more than {_MAX_ADDRESSES:,} addresses"
                break
            if (page := normalise(address, url)) is not None:
                found[kind][page] = None
    except FormatError as error:
        problem = error.what
    return Sitemap(tuple(found["url"]), tuple(found["sitemap"]), problem)


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8-sig", "replace").splitlines():
        if line.strip():
            yield "url", line.strip()[:_MAX_CHARS]
