"""Word documents (.docx, ISO/IEC 29500) to plain text: paragraphs, and tables row by row."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO

from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.guarded_xml import Attributes, XmlHandler, parse_xml
from hanmo.corpora.sources.readers import Text, cut_into_texts
from hanmo.corpora.sources.zip_files import ZipReader

__all__ = ["read_docx"]

_MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_HIDDEN = frozenset({"Fallback", "moveFrom", "pPr", "rPr", "tblPr", "sectPr"})
"""Elements whose content is there twice (a drawing for old programs, moved text) or is no text."""


class _DocumentHandler(XmlHandler):
    """Collects paragraphs; those of a cell of a table wait for the end of its row."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []
        self._rows: list[list[list[str]]] = []  # of tables within tables: cells, each of paragraphs
        self._hidden = self._text = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if self._hidden or name in _HIDDEN:
            self._hidden += 1
        elif name == "t":
            self._text += 1
        elif name in _MARKS:
            self._parts.append(_MARKS[name])
        elif name == "tr":
            self._rows.append([])
        elif name == "tc" and self._rows:
            self._rows[-1].append([])

    def characters(self, text: str) -> None:
        if self._text and not self._hidden:
            self._parts.append(text)

    def end(self, name: str) -> None:
        if self._hidden:
            self._hidden -= 1
        elif name == "t":
            self._text -= 1
        elif name == "p":
            self._add("".join(self._parts))
            self._parts.clear()
        elif name == "tr" and self._rows:
            cells = [" ".join(filter(None, cell)) for cell in self._rows.pop()]
            self._add("\t".join(cells).strip())

    def _add(self, paragraph: str) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1].append(paragraph)
        elif not self._rows:
            self.done.append(paragraph.rstrip() + "\n")


def read_docx(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the body of a Word document, without headers, footers, notes, comments and deleted text.

    Raises:
        FormatError: if it is damaged, encrypted, too large, or no Word document.
    """
    with ZipReader(stream, settings) as document:
        data = document.read("word/document.xml")
    paragraphs = parse_xml(io.BytesIO(data), _DocumentHandler())
    yield from cut_into_texts(paragraphs, settings.max_document_chars * 2 // 3, settings, {"encoding": "utf-8"})
