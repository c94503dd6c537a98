"""Dumps of a MediaWiki (Wikipedia's pages-articles.xml): one document per article."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from hanmo.core.errors import FormatError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.guarded_xml import Attributes, XmlHandler, parse_xml
from hanmo.corpora.sources.readers import Text
from hanmo.corpora.sources.time_limit import run_within
from hanmo.corpora.sources.wikitext import wikitext_to_text

__all__ = ["read_dump"]

_PAGE_FIELDS = frozenset({"title", "ns", "id", "redirect"})
_REVISION_FIELDS = frozenset({"text", "model", "timestamp"})
_HIDDEN_KEYS = frozenset({"-2", "-1", "6", "14"})
"""Namespaces of media, special pages, files and categories."""


@dataclass(slots=True)
class _Page:
    """A page, as far as it has been read; of several revisions the last."""

    values: dict[str, str] = field(default_factory=dict)
    is_redirect: bool = False
    is_too_large: bool = False


class _DumpHandler(XmlHandler):
    """Collects pages, and what the head of the dump says of its namespaces and language."""

    def __init__(self, max_chars: int):
        super().__init__()
        self.lang = ""
        self.namespaces: dict[str, str] = {}  # name in lower case -> key
        self._max_chars = max_chars
        self._path: list[str] = []
        self._page: _Page | None = None
        self._parts: list[str] | None = None
        self._n_chars = 0
        self._key = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if not self._path:
            if name != "mediawiki":
                raise FormatError(f"XML that is no dump of a MediaWiki (its root is <{name[:40]}>)")
            self.lang = attributes.get("lang", "")
        self._path.append(name)
        parent = self._path[-2] if len(self._path) > 1 else ""
        if name == "page" and parent == "mediawiki":
            self._page = _Page()
        elif self._page is not None:
            if name == "redirect":
                self._page.is_redirect = True
            if (parent == "page" and name in _PAGE_FIELDS) or (parent == "revision" and name in _REVISION_FIELDS):
                self._parts, self._n_chars = [], 0
        elif name == "namespace":
            self._key, self._parts, self._n_chars = attributes.get("key", ""), [], 0

    def characters(self, text: str) -> None:
        if self._parts is None:
            return
        self._n_chars += len(text)
        if self._n_chars <= self._max_chars:
            self._parts.append(text)
        elif self._page is not None:
            self._page.is_too_large = True

    def end(self, name: str) -> None:
        self._path.pop()
        if self._parts is not None:
            value, self._parts = "".join(self._parts), None
            if self._page is not None:
                self._page.values[name] = value
            elif name == "namespace" and len(self.namespaces) < 1_000:
                self.namespaces[value.strip().lower()] = self._key
        if name == "page" and self._page is not None and self._path == ["mediawiki"]:
            self.done.append(self._page)
            self._page = None


def read_dump(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the articles of a dump as plain text. Redirects, pages that are no articles and too large ones are skipped,
    by the number of the page.

    Raises:
        FormatError: for other or damaged XML, behind the articles in front of the damage.
    """
    handler = _DumpHandler(settings.max_record_bytes)
    for number, page in enumerate(parse_xml(stream, handler), 1):
        item = _read_page(page, handler, settings.max_record_seconds)
        if isinstance(item, str):
            yield Skipped(source=f"{name}#{number}", reason=item)
            continue
        meta = {
            "encoding": "utf-8",
            "title": page.values.get("title", "").strip(),
            "page_id": page.values.get("id", ""),
        }
        if handler.lang:
            meta["language"] = handler.lang[:20]
        yield Text(text=item.text, part=str(number), meta=meta)


def _read_page(page: _Page, handler: _DumpHandler, seconds: float) -> Text | str:
    """The text of an article, or why the page is skipped."""
    values = page.values
    title = values.get("title", "")
    prefix, colon, _ = title.partition(":")
    key = values.get("ns") or (handler.namespaces.get(prefix.strip().lower(), "0") if colon else "0")
    if page.is_too_large:
        return "page too large (max_record_bytes)"
    if key.strip() != "0":
        return "no article (another namespace)"
    if page.is_redirect:
        return "redirect"
    if values.get("model", "wikitext").strip() not in ("wikitext", ""):
        return "no wiki text"
    hidden = [local for local, key in handler.namespaces.items() if key in _HIDDEN_KEYS]
    source = values.get("text", "")
    try:
        text = run_within(seconds, lambda: wikitext_to_text(source, hidden_namespaces=hidden))
    except FormatError as error:
        return error.what
    if text is None:
        return "redirect"
    return Text(text=text) if text else "no text in this page"
