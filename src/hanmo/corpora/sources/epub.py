"""E-books (.epub 2 and 3) to plain text, chapter by chapter in the order of reading."""

from __future__ import annotations

import functools
import html
import io
import itertools
import posixpath
import re
from collections.abc import Iterator
from typing import IO
from urllib.parse import unquote

from hanmo.core.errors import FormatError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.guarded_xml import Attributes, XmlHandler, parse_xml
from hanmo.corpora.sources.html_pages import decode_page
from hanmo.corpora.sources.readers import Text, cut_into_texts
from hanmo.corpora.sources.time_limit import run_within
from hanmo.corpora.sources.wikitext import remove_comments
from hanmo.corpora.sources.zip_files import ZipReader

__all__ = ["chapter_text", "read_epub"]

_MAX_CHAPTERS = 10_000
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml", ""})
_BREAKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt", "figcaption"}
    | {"figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul"}
)
_HIDDEN = frozenset({"script", "style", "head", "template", "rp", "rt", "nav"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,30})(?![a-zA-Z0-9])[^<>]*>|<[!?][^<>]*>")
_BLANKS = re.compile(r"[ \t\r\n\f]+")


class _ContainerHandler(XmlHandler):
    """META-INF/container.xml: where the package is."""

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "rootfile" and "full-path" in attributes:
            self.done.append(attributes["full-path"])


class _PackageHandler(XmlHandler):
    """The package: its files, the order of reading, and what the book says of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, tuple[str, str]] = {}  # id -> (href, media type)
        self.order: list[str] = []
        self.meta: dict[str, str] = {}
        self._field = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "item" and len(self.files) < _MAX_CHAPTERS:
            self.files[attributes.get("id", "")] = (attributes.get("href", ""), attributes.get("media-type", ""))
        elif name == "itemref" and len(self.order) < _MAX_CHAPTERS:
            self.order.append(attributes.get("idref", ""))
        self._field = {"title": "title", "creator": "author", "language": "language"}.get(name, "")

    def characters(self, text: str) -> None:
        if self._field and len(self.meta.get(self._field, "")) < 500:
            self.meta[self._field] = self.meta.get(self._field, "") + text[:500]

    def end(self, name: str) -> None:
        self._field = ""


def chapter_text(page: str) -> str:
    """All text of an XHTML page: a line for each block, a blank line behind a paragraph.

    Unlike a page of the web, a chapter has no menus to tell from its text. The tags are found by one pattern, in time
    linear in the page however broken it is.
    """
    lines: list[str] = []
    parts: list[str] = []
    page = remove_comments(page)
    hidden = ""  # the element whose content is left out
    place = 0
    for found in _TAG.finditer(page):
        if not hidden:
            parts.append(page[place : found.start()])
        place = found.end()
        closing, name = found[1], (found[2] or "").lower()
        if hidden:
            hidden = "" if closing and name in (hidden, "html") else hidden
        elif name in _HIDDEN and not closing and not found[0].endswith("/>"):
            hidden = name
        elif name in _BREAKS:
            _end_line(parts, lines)
            if name in _PARAGRAPHS and lines and lines[-1]:
                lines.append("")
        elif closing and name in ("td", "th"):
            parts.append(" ")
    if not hidden:
        parts.append(page[place:])
    _end_line(parts, lines)
    return "\n".join(lines).strip("\n")


def _end_line(parts: list[str], lines: list[str]) -> None:
    line = _BLANKS.sub(" ", html.unescape("".join(parts))).strip(" ")
    parts.clear()
    if line:
        lines.append(line)


def read_epub(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read an e-book: the pieces of its chapters in the order of reading. A chapter that cannot be read is skipped.

    Raises:
        FormatError: if it is damaged, too large, or no e-book.
    """
    with ZipReader(stream, settings) as book:
        package_name = next(parse_xml(io.BytesIO(book.read("META-INF/container.xml")), _ContainerHandler()), None)
        if package_name is None:
            raise FormatError("an e-book without a package")
        package = _PackageHandler()
        for _ in parse_xml(io.BytesIO(book.read(package_name)), package):
            pass
        meta = {key: " ".join(value.split()) for key, value in package.meta.items()}
        skipped: list[Skipped] = []
        folder = posixpath.dirname(package_name)
        chapters = _chapters(book, package, folder, name, skipped, settings.max_record_seconds)
        first = next(chapters, None)
        if first is not None:
            blocks = itertools.chain([first], chapters)
            yield from cut_into_texts(blocks, settings.piece_chars, settings, {"encoding": "utf-8"} | meta)
    yield from skipped
    if first is None:
        yield Skipped(source=name, reason="no text in this e-book")


def _chapters(
    book: ZipReader, package: _PackageHandler, folder: str, name: str, skipped: list[Skipped], seconds: float
) -> Iterator[str]:
    for number, identity in enumerate(dict.fromkeys(package.order), 1):
        href, media_type = package.files.get(identity, ("", "none"))
        if media_type not in _PAGES:
            skipped.append(Skipped(source=f"{name}#chapter {number}", reason="chapter that is no page of text"))
            continue
        try:
            path = posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))
            page = decode_page(book.read(path)).text
            text = run_within(seconds, functools.partial(chapter_text, page))
        except FormatError as error:
            skipped.append(Skipped(source=f"{name}#chapter {number}", reason=error.what))
            continue
        if text:
            yield text + "\n\n"
