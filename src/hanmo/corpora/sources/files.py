"""Files to documents: walk a folder in a fixed order and read each kind of file with its reader.

What a document is: a file, except rows of .jsonl, .json, .csv, .tsv and .parquet, lines of a .txt that has one document per line,
articles of a dump, pages of a web archive, and the pieces of long files. Pieces of one file carry the same group, so that a
split keeps a book on one side; only when a corpus has too few files for that does `hanmo.corpora.splits` cut books into
contiguous stretches.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hanmo.core.errors import DataError, FormatError, MissingExtraError
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.compression import COMPRESSED, bytes_read, open_stream, problem_of
from hanmo.corpora.sources.docx import read_docx
from hanmo.corpora.sources.epub import read_epub
from hanmo.corpora.sources.html_pages import read_html
from hanmo.corpora.sources.hub_datasets import HubDataset, fetch_dataset, parse_hub_name
from hanmo.corpora.sources.mediawiki import read_dump
from hanmo.corpora.sources.parquet import read_parquet
from hanmo.corpora.sources.pdf import read_pdf
from hanmo.corpora.sources.pieces import cut_text
from hanmo.corpora.sources.readers import (
    Text,
    read_csv,
    read_json,
    read_jsonl,
    read_plain,
    read_python,
    read_tsv,
    read_whole,
)
from hanmo.corpora.sources.warc import read_warc

__all__ = ["KINDS", "BytesRead", "SourceFile", "known_kinds", "list_files", "read_file"]

Reader = Callable[[IO[bytes], str, CorpusSettings], Iterator[Text | Skipped]]

KINDS: dict[str, Reader] = {
    ".txt": read_plain,
    ".md": read_whole,
    ".rst": read_whole,
    ".py": read_python,
    ".html": read_html,
    ".htm": read_html,
    ".jsonl": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".xml": read_dump,
    ".warc": read_warc,
    ".wet": read_warc,
    ".docx": read_docx,
    ".epub": read_epub,
    ".pdf": read_pdf,
}
"""File endings that are read, each also with .gz, .bz2, .xz or .zst behind it."""

_ARCHIVES = frozenset({".xml", ".warc", ".wet", ".parquet"})
"""Kinds that hold many records with a limit each, in files of any size."""
_DUMP_PART = re.compile(r"\.xml-p\d+p\d+.*")
"""How the parts of a Wikipedia dump end: `pages-articles1.xml-p1p41242`."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read and the name it has in the corpus."""

    path: Path
    name: str

    @property
    def kind(self) -> str:
        """File ending in lower case, without that of a compression."""
        name, ending = os.path.splitext(self.path.name.lower())
        if ending in COMPRESSED:
            name, ending = os.path.splitext(name)
        return ".xml" if _DUMP_PART.fullmatch(ending) else ending


@dataclass(slots=True)
class BytesRead:
    """A count that `read_file` keeps up to date."""

    n: int = 0
    """Bytes of files on disk, as they are there (compressed ones compressed)."""


def list_files(source: str | Path, *, exclude: Path | None = None) -> tuple[list[SourceFile], list[Skipped]]:
    """Find the files of a folder (or take one file), sorted by name; those of a dataset of the Hugging Face hub
    (`hf://datasets/ORG/NAME`, also with `@REVISION` and `/PATH` or `/SPLIT` behind it) are fetched first.

    Links are followed, but no folder is entered twice, so loops end. Hidden files and folders, other kinds and
    the folder `exclude` (where the corpus is written) are counted as skipped.

    Raises:
        DataError: if there is nothing at `source`, or it cannot be listed.
    """
    if (dataset := parse_hub_name(source)) is not None:
        return _list_dataset(dataset), []
    source = Path(source)
    try:
        is_folder = stat.S_ISDIR(source.stat().st_mode)
    except OSError as error:
        raise DataError(
            f"cannot read this source of documents ({error.strerror})", where=source, remedy="Check the path."
        ) from error
    if not is_folder:
        file = SourceFile(source, source.name)
        if file.kind not in KINDS:
            raise DataError(
                f"unknown kind of file {file.kind!r}", where=source, remedy=f"Known kinds: {known_kinds()}."
            )
        return [file], []
    files: list[SourceFile] = []
    skipped: list[Skipped] = []
    _walk(source, "", files, skipped, set(), exclude.resolve() if exclude is not None else None)
    return files, skipped


def _list_dataset(dataset: HubDataset) -> list[SourceFile]:
    folder, files = fetch_dataset(dataset)
    return [SourceFile(folder / file, f"{dataset.repository}/{file}") for file in files]


def known_kinds() -> str:
    """The endings in `KINDS` and those of a compression, for errors."""
    return ", ".join(KINDS) + ", each also as .gz, .bz2, .xz or .zst"


def _walk(
    folder: Path,
    prefix: str,
    files: list[SourceFile],
    skipped: list[Skipped],
    seen: set[tuple[int, int]],
    exclude: Path | None,
) -> None:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if not prefix:
            raise DataError(f"cannot list this folder ({error.strerror})", where=folder) from error
        skipped.append(Skipped(source=prefix.rstrip("/"), reason=f"folder cannot be listed ({error.strerror})"))
        return
    if (status.st_dev, status.st_ino) in seen:
        skipped.append(Skipped(source=prefix.rstrip("/"), reason="folder already read (a link to it)"))
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        # A file name may hold bytes that are no UTF-8; a corpus file may not.
        name = prefix + entry.name.encode("utf-8", "replace").decode("utf-8")
        if entry.name.startswith("."):
            skipped.append(Skipped(source=name, reason="hidden"))
            continue
        try:
            mode = entry.stat().st_mode
        except OSError as error:
            skipped.append(Skipped(source=name, reason=f"cannot be read ({error.strerror})"))
            continue
        path = Path(entry.path)
        if stat.S_ISDIR(mode):
            if exclude is not None and path.resolve() == exclude:
                skipped.append(Skipped(source=name, reason="the output folder of this corpus"))
            else:
                _walk(path, name + "/", files, skipped, seen, exclude)
        elif not stat.S_ISREG(mode):
            skipped.append(Skipped(source=name, reason="no regular file"))
        elif SourceFile(path, name).kind in KINDS:
            files.append(SourceFile(path, name))
        else:
            skipped.append(Skipped(source=name, reason="unknown kind"))


def read_file(
    file: SourceFile, settings: CorpusSettings, n_bytes: BytesRead | None = None
) -> Iterator[Document | Skipped]:
    """Read the documents of one file. A file that cannot be read (gone, no permission, damaged, binary, too large)
    gives one `Skipped` for the file, a bad row one for the row.

    Args:
        file: the file.
        settings: limits, and how it is read.
        n_bytes: is raised by what was read, before each item; at the end it has risen by the size of the file.
    """
    n_bytes = BytesRead() if n_bytes is None else n_bytes
    start = n_bytes.n
    try:
        with open_stream(file.path, settings, is_archive=file.kind in _ARCHIVES) as stream:
            for text in KINDS[file.kind](stream, file.name, settings):
                n_bytes.n = max(n_bytes.n, start + bytes_read(stream))
                if isinstance(text, Skipped):
                    yield text
                else:
                    yield from _documents_of(file, text, settings)
            if (problem := problem_of(stream)) is not None:
                yield Skipped(source=file.name, reason=f"cannot be read to its end ({problem})")
    except (FormatError, MissingExtraError) as error:
        yield Skipped(source=file.name, reason=error.what if isinstance(error, FormatError) else str(error))
    except FileNotFoundError:
        yield Skipped(source=file.name, reason="vanished while reading")
    except OSError as error:
        yield Skipped(source=file.name, reason=f"cannot be read ({error.strerror or error})")
    with contextlib.suppress(OSError):
        n_bytes.n = start + file.path.stat().st_size


def _documents_of(file: SourceFile, text: Text, settings: CorpusSettings) -> Iterator[Document]:
    name = f"{file.name}#{text.part}" if text.part else file.name
    meta = {"group": name if text.alone else file.name, "kind": file.kind.removeprefix("."), **text.meta}
    if not text.alone:
        meta["piece"] = int(text.part)
    if len(text.text) <= settings.max_document_chars:
        yield Document(text=text.text, id=name, source=file.name, meta=meta)
        return
    pieces = cut_text(
        text.text, piece_chars=settings.max_document_chars * 2 // 3, max_chars=settings.max_document_chars
    )
    for number, piece in enumerate(pieces, 1):
        yield Document(text=piece, id=f"{name}.{number}", source=file.name, meta={**meta, "piece": number})
