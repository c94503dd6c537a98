"""The running Python's own standard library as a corpus: real code and documentation text, on every machine."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from hanmo.core.errors import DataError
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.sources.files import SourceFile

__all__ = ["list_stdlib", "read_topics"]

_NOT_STDLIB = frozenset({"__pycache__", "site-packages", "dist-packages", "lib-dynload"})
_TOPICS = "pydoc_data/topics.py"


def list_stdlib() -> tuple[list[SourceFile], list[Skipped]]:
    """List the Python sources of the standard library, sorted by name.

    Third-party folders are left out; links that lead elsewhere (a distribution's `sitecustomize.py`) are skipped.
    The file of `help()` topics is left out here, because `read_topics` gives its texts unquoted.

    Raises:
        DataError: if this Python carries no sources (an embedded or zipped one).
    """
    root = Path(sysconfig.get_path("stdlib"))
    files: list[SourceFile] = []
    skipped: list[Skipped] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - _NOT_STDLIB)
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not name.endswith(".py") or relative == _TOPICS:
                continue
            if path.is_symlink():
                skipped.append(Skipped(source=f"stdlib:{relative}", reason="a link to outside the standard library"))
            else:
                files.append(SourceFile(path, f"stdlib:{relative}"))
    if not files:
        raise DataError(
            "this Python carries no sources of its standard library",
            where=root,
            remedy="Give a folder of documents: --corpus PATH.",
        )
    return sorted(files, key=lambda file: file.name), skipped


def read_topics() -> Iterator[Document]:
    """Give the texts that `help("...")` shows, one document per topic, sorted by name."""
    from pydoc_data.topics import topics  # 700 KB of text

    for name, text in sorted(topics.items()):
        identity = f"stdlib:help/{name}"
        yield Document(text=text, id=identity, source=f"stdlib:{_TOPICS}", meta={"group": identity, "kind": "rst"})
