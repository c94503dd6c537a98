"""Documents, what was skipped, and their JSON Lines files."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from hanmo.core.errors import FormatError
from hanmo.core.files import write_atomic

__all__ = ["Document", "Skipped", "document_line", "open_gzip_writer", "read_documents", "write_documents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text with its origin."""

    text: str
    id: str
    """Unique in a corpus: the path, with `#n` for the n-th piece, row or line of a file."""
    source: str
    """Path of the file, relative to the folder that was read, or a name such as `stdlib:json/decoder.py`."""
    lang: str = "und"
    """"zh", "en", "code", "other" or "und"."""
    meta: dict[str, Any] = field(default_factory=dict)
    """JSON values; `group` names what must stay on one side of a split."""

    @property
    def group(self) -> str:
        """Name of the documents that must stay together in a split."""
        return str(self.meta.get("group", self.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that was met but not read: a file, or a row of one (`file:line`)."""

    source: str
    reason: str


def document_line(document: Document) -> bytes:
    """A document as one line of JSON in UTF-8, with its line end."""
    row = {
        "text": document.text,
        "id": document.id,
        "source": document.source,
        "lang": document.lang,
        "meta": document.meta,
    }
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


@contextlib.contextmanager
def open_gzip_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a gzip file whose bytes depend on the content only (no name, no time in its header)."""
    with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as file:
        yield cast("IO[bytes]", file)


def write_documents(path: str | Path, documents: Iterable[Document]) -> int:
    """Write documents as .jsonl or .jsonl.gz, atomically; the same documents give the same bytes.

    Returns:
        How many were written.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    path, count = Path(path), 0

    def fill(temporary: Path) -> None:
        nonlocal count
        with open_gzip_writer(temporary) if path.suffix == ".gz" else open(temporary, "wb") as file:
            for document in documents:
                file.write(document_line(document))
                count += 1

    write_atomic(path, fill)
    return count


def read_documents(path: str | Path) -> Iterator[Document]:
    """Read documents from .jsonl or .jsonl.gz, one at a time.

    Raises:
        FormatError: for a missing or damaged file or a row that is no document, with `file:line`.
    """
    path, number = Path(path), 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _document_of(line, f"{path}:{number}")
    except FileNotFoundError as error:
        raise FormatError(
            "this corpus file does not exist", where=path, remedy="Build it: hanmo.corpora.build.build_corpus."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"cannot be read to its end ({error})", where=f"{path}:{number + 1}") from error


def _document_of(line: bytes, where: str) -> Document:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not valid JSON ({error})", where=where) from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        found = f"found keys {sorted(row)[:8]}" if isinstance(row, dict) else f"found {type(row).__name__}"
        raise FormatError(
            f"'text' is missing or no string; {found}",
            where=where,
            remedy="Convert it: hanmo.corpora.build.build_corpus reads other keys (text_key).",
        )
    name = str(row.get("id", where))
    meta = row.get("meta")
    return Document(
        text=row["text"],
        id=name,
        source=str(row.get("source", name)),
        lang=str(row.get("lang", "und")),
        meta=meta if isinstance(meta, dict) else {},
    )
