"""The lines of documents, for what reads sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hanmo.core.progress import say
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file

__all__ = ["document_lines"]


def document_lines(source: str | Path) -> Iterator[str]:
    """The lines of every document of a file or folder, in the order of `list_files`; what is left out is said.

    Raises:
        DataError: if there is nothing at `source`, or it cannot be listed.
    """
    files, skipped = list_files(source)
    settings = CorpusSettings()
    n_skipped = len(skipped)
    for file in files:
        for document in read_file(file, settings):
            if isinstance(document, Document):
                yield from document.text.split("\n")
            else:
                n_skipped += 1
                say(f"{document.source}: left out ({document.reason})")
    if n_skipped:
        say(f"{n_skipped:,} files or rows were left out.")
