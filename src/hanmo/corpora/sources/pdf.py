"""The text layer of .pdf files: pages in order, as paragraphs.

A PDF knows where characters stand, not what a paragraph is. pypdf gives lines; here they become paragraphs
(`hanmo.corpora.sources.pdf_lines`). What is a picture of text has no text layer and is skipped.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from hanmo.core.errors import FormatError, MissingExtraError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.pdf_lines import join_pages
from hanmo.corpora.sources.readers import Text, cut_into_texts
from hanmo.corpora.sources.seekable import seekable
from hanmo.corpora.sources.time_limit import run_within

if TYPE_CHECKING:
    from pypdf import PdfReader

__all__ = ["read_pdf"]

_MAX_PAGES = 10_000
_MAX_CHARS = 20_000_000
"""Most characters of a file; a thick book has two million."""
_MIN_CHARS_PER_PAGE = 10
"""Fewest characters per page, on average, of a file that has a text layer; a scanned one may carry a stamp."""


def read_pdf(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the text layer of a PDF, without headers and footers that repeat. A page that cannot be read is skipped.

    Raises:
        FormatError: if it is damaged, encrypted, no PDF, or has no text layer (scanned pages).
        MissingExtraError: if pypdf is not installed.
    """
    try:
        from pypdf import PdfReader
    except ImportError as error:
        raise MissingExtraError("pypdf", "corpus", "reading .pdf") from error
    with seekable(stream, settings.max_file_bytes) as file, _without_warnings():
        if b"%PDF-" not in file.read(1024):
            raise FormatError("no PDF")
        file.seek(0)
        document, n_pages = _guarded(settings, functools.partial(_open, PdfReader, file))
        pages: list[str] = []
        skipped: list[Skipped] = []
        n_chars = 0
        for number in range(min(n_pages, _MAX_PAGES)):
            try:
                page = _guarded(settings, functools.partial(_page_text, document, number))
            except FormatError as error:
                skipped.append(Skipped(source=f"{name}#page {number + 1}", reason=error.what))
                continue
            n_chars += len(page)
            if n_chars > _MAX_CHARS:
                break
            pages.append(page)
    if n_chars < _MIN_CHARS_PER_PAGE * len(pages) or not n_chars:
        yield from skipped
        raise FormatError("no text layer in this PDF (scanned pages need character recognition first)")
    text = join_pages(pages)
    meta = {"encoding": "utf-8", "pages": n_pages}
    yield from cut_into_texts([text], settings.max_document_chars * 2 // 3, settings, meta)
    yield from skipped
    if n_chars > _MAX_CHARS or n_pages > _MAX_PAGES:
        yield Skipped(source=f"{name}#page {len(pages) + len(skipped) + 1}", reason="pages beyond the limit of a PDF")


def _open(reader: type[PdfReader], file: IO[bytes]) -> tuple[PdfReader, int]:
    document = reader(file)
    if document.is_encrypted:
        raise FormatError("encrypted")
    return document, len(document.pages)


def _page_text(document: PdfReader, number: int) -> str:
    return document.pages[number].extract_text()


def _guarded(settings: CorpusSettings, work: Any) -> Any:
    try:
        return run_within(settings.max_record_seconds, work)
    except FormatError:
        raise
    except Exception as error:  # what a library meets in a hostile file is of any type
        raise FormatError(f"damaged PDF ({type(error).__name__})") from error


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """pypdf says to the log what it mends, a line for each object."""
    log = logging.getLogger("pypdf")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
