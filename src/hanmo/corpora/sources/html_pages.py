"""HTML pages: their bytes to characters, and their main text without menus and footers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import IO

from hanmo.core.errors import FormatError, MissingExtraError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.readers import BLOCK_BYTES, Text, cut_into_texts
from hanmo.corpora.sources.time_limit import run_within
from hanmo.text.encoding import Decoded, decode

__all__ = ["decode_page", "main_text", "read_html"]

_META = re.compile(rb"<meta[^<>]{0,200}charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_\-:.]{2,30})", re.IGNORECASE)
_META_BYTES = 4096
"""Where a page has to name its encoding, counted from its beginning (HTML asks for the first 1024 bytes)."""
_LABELS = {  # what browsers read under these names (WHATWG Encoding Standard, §4.2)
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "cp950",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
_WIDE = frozenset({"gb18030", "cp950", "big5hkscs", "cp932", "cp949", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be"})
"""Encodings in which bytes chosen for another one are seldom valid."""

_MAX_TAGS = 250_000
"""Most tags of a page; each takes about a kilobyte of memory."""
_MAX_ATTRIBUTES = 2_000
"""Most attributes of a tag; the time that the parser takes grows with their square, and no alarm reaches it there."""
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1|\Z)"
    r"|<[a-z](?:[^>=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?+)*+(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(r"=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))", re.DOTALL)


def decode_page(data: bytes, declared: str | None = None) -> Decoded:
    """Decode a page: as UTF-8 where it is that, else as its header says, else as its <meta> says, else by its look.

    What a header or a <meta> says counts only where every byte is valid in it.

    Args:
        data: the bytes of the page.
        declared: the charset of its HTTP header, if there was one.

    Raises:
        FormatError: if the bytes are binary or in no supported encoding.
    """
    if b"\0" not in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not data.isascii():
        meta = _META.search(data, 0, _META_BYTES)
        for label in ("utf-8", declared, meta[1].decode("ascii") if meta else None):
            if (codec := _codec(label)) is not None:
                try:
                    return Decoded(data.decode(codec).removeprefix("\ufeff"), codec)
                except UnicodeDecodeError:
                    continue
    return decode(data)


def _codec(label: str | None) -> str | None:
    """The codec that browsers use for a label; None for one that is unknown, no encoding of text, or says little."""
    try:
        name = codecs.lookup((label or "").strip("\"' \t")).name
    except (LookupError, ValueError):
        return None
    codec = _LABELS.get(name, name)
    return codec if codec == "utf-8" or codec in _WIDE or codec.startswith(("koi8", "cp125", "iso8859")) else None


def main_text(page: str, *, max_seconds: float = 2.0) -> str | None:
    """The main text of an HTML page, found by trafilatura (Barbaresi, 2021); None where there is none.

    Args:
        page: the page.
        max_seconds: longest time that this may take, in seconds (`hanmo.corpora.sources.time_limit`).

    Raises:
        MissingExtraError: if trafilatura is not installed.
        FormatError: if the page breaks trafilatura, or takes too long.
    """
    try:
        import trafilatura
    except ImportError as error:
        raise MissingExtraError("trafilatura", "corpus", "reading HTML") from error
    if not page.strip():
        return None
    _check_tags(page)
    try:
        # fast: without the second opinion of other extractors, which costs a quarter of the time and gains nothing
        return run_within(max_seconds, lambda: trafilatura.extract(page, include_comments=False, fast=True)) or None
    except FormatError:
        raise
    except Exception as error:  # what a library meets on a hostile page is of any type
        raise FormatError(f"this HTML page cannot be read ({type(error).__name__})") from error


def _check_tags(page: str) -> None:
    if page.count("<") > _MAX_TAGS:
        raise FormatError(f"an HTML page with more than {_MAX_TAGS:,} tags")
    for found in _TAG.finditer(page):
        is_tag = found[1] is None and not found[0].startswith("<!")
        is_long = is_tag and found.end() - found.start() > 2 * _MAX_ATTRIBUTES
        if is_long and len(_QUOTED.sub(" ", found[0]).split()) > _MAX_ATTRIBUTES:
            raise FormatError(f"an HTML page with more than {_MAX_ATTRIBUTES:,} attributes in a tag")


def read_html(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the main text of an HTML page.

    Raises:
        MissingExtraError: if trafilatura is not installed.
        FormatError: if the page is binary, in no supported encoding, or breaks trafilatura.
    """
    data = stream.read(BLOCK_BYTES)
    if len(data) == BLOCK_BYTES:
        yield Skipped(source=name, reason="HTML page too large")
        return
    decoded = decode_page(data)
    text = main_text(decoded.text, max_seconds=settings.max_record_seconds)
    if not text:
        yield Skipped(source=name, reason="no main text found in this HTML page")
        return
    yield from cut_into_texts([text], settings.max_document_chars * 2 // 3, settings, {"encoding": decoded.encoding})
