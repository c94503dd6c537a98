"""Which files are read together: parts of about equal size, each one task of a build.

Parts follow from the list of files alone, so the order of documents, and with it every choice between copies, does not
depend on who works. A file is never divided; large collections come in many files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hanmo.corpora.sources.files import SourceFile

__all__ = ["Part", "plan_parts"]

_MIN_BYTES, _MAX_BYTES = 2**20, 64 * 2**20
"""Bounds of a part's size."""
_N_PARTS = 64
"""Parts that a middling source is cut into."""
_MAX_FILES = 2_000


@dataclass(frozen=True, slots=True)
class Part:
    """Files that are read by one task."""

    number: int
    """Place among the parts of all sources."""
    source: int
    """Place of its source."""
    files: tuple[SourceFile, ...]
    n_bytes: int
    """Size of the files as they are stored."""
    topics: bool = False
    """Whether it stands for the help topics of Python, which are no file."""


def _file_size(file: SourceFile) -> int:
    """Size of a file, in bytes; 0 where it cannot be told (reading it will say why)."""
    try:
        return file.path.stat().st_size
    except OSError:
        return 0


def plan_parts(source: int, files: Iterable[SourceFile], *, first: int, topics: bool = False) -> list[Part]:
    """Cut the files of a source into parts, in their order.

    Args:
        source: place of the source.
        files: what is read.
        first: number of its first part.
        topics: add a part for the help topics of Python.
    """
    sized = [(file, _file_size(file)) for file in files]
    wanted = min(max(sum(size for _, size in sized) // _N_PARTS, _MIN_BYTES), _MAX_BYTES)
    parts: list[Part] = []
    held: list[SourceFile] = []
    n_bytes = 0

    def close() -> None:
        nonlocal held, n_bytes
        if held:
            parts.append(Part(first + len(parts), source, tuple(held), n_bytes))
        held, n_bytes = [], 0

    for file, size in sized:
        if held and (n_bytes + size > wanted or len(held) == _MAX_FILES):
            close()
        held.append(file)
        n_bytes += size
    close()
    if topics:
        parts.append(Part(first + len(parts), source, (), 0, topics=True))
    return parts
