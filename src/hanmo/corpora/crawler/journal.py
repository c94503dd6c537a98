"""The journal of a crawl: a line of JSON for each thing done, so that a crawl goes on where it was stopped or killed.

A page stands in the web archive before its line is written. What a kill left behind the last line, half a record or a
whole one, is cut off and fetched again; after a power cut, lines whose pages did not reach the disk are cut off too.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError, FormatError, storage_error

__all__ = ["FORMAT", "Journal"]

FORMAT = "hanmo-crawl-1"
"""First value of a journal."""


class Journal:
    """Lines that are appended, and those that stand there from before.

    Args:
        path: the journal.
        archive: the web archive beside it.

    Raises:
        ConfigError: if another crawl writes it, or there is an archive without a journal.
        FormatError: if it is no journal.
        StorageError: if the disk is full or may not be written; also while writing.
    """

    def __init__(self, path: Path, archive: Path):
        self._path = path
        if archive.exists() and not path.exists():
            raise ConfigError(
                "this file exists, and there is no journal of a crawl beside it", where=archive,
                remedy="Choose another name for --out.",
            )  # fmt: skip
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise ConfigError(
                "another crawl writes this", where=archive, remedy="Wait for it, or choose another name for --out."
            ) from error
        self.archive_size = 0
        """Bytes of the archive that the lines tell of."""
        self._archive_bytes = archive.stat().st_size if archive.exists() else 0

    def replay(self) -> Iterator[dict[str, Any]]:
        """The lines from before; half a line, and lines about pages that are not in the archive, are cut off.

        Raises:
            FormatError: if it is no journal of a crawl.
        """
        self._file.seek(0)
        end = 0
        for number, line in enumerate(self._file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                event = json.loads(line)
            except ValueError as error:
                raise FormatError("damaged journal of a crawl", where=f"{self._path}:{number}") from error
            if not isinstance(event, dict) or (number == 1 and event.get("format") != FORMAT):
                raise FormatError("not a journal of a crawl", where=f"{self._path}:{number}")
            if event.get("end", 0) > self._archive_bytes:
                break
            end += len(line)
            self.archive_size = event.get("end", self.archive_size)
            yield event
        self._file.truncate(end)

    def write(self, event: dict[str, Any]) -> None:
        """Append a line."""
        try:
            self._file.write((json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
            self._file.flush()
        except OSError as error:
            raise storage_error(error, self._path) from error

    def close(self) -> None:
        """Close the journal, once it is on the disk."""
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
