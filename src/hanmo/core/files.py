"""Atomic, fsynced writes: a reader sees the old file, the new file, or none, never half of one.

Protocol: temporary sibling, write, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hanmo.core.errors import FormatError, storage_error

__all__ = [
    "fsync_folder",
    "new_folder",
    "read_json",
    "sha256_file",
    "sha256_text",
    "sweep_orphans",
    "write_atomic",
    "write_json",
    "write_text",
]

_TEMPORARY = ".hanmo-tmp-"


def _temporary(path: Path) -> Path:
    return path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:12]}-{path.name[:100]}")


def _fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable (rename alone is not, after a power cut)."""
    _fsync_file(path)


def write_atomic(path: str | Path, fill: Callable[[Path], None]) -> None:
    """Let `fill(temporary_path)` write a file, then put it at `path` in one step.

    Raises:
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(temporary)
        _fsync_file(temporary)
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically, line endings as given."""
    write_atomic(path, lambda temporary: _write_bytes(temporary, text.encode("utf-8")))


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON atomically; non-finite numbers are refused (they are not JSON)."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        FormatError: if it is not JSON, with the line.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise FormatError(f"not valid JSON ({error.msg})", where=f"{path}:{error.lineno}") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"not valid JSON ({error})", where=path) from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes `path` when the block ends well.

    Every file in it is fsynced before the rename. An existing folder at `path` is replaced: it is moved
    aside first and deleted only when the new one stands.

    Raises:
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in sorted(temporary.rglob("*")):
            _fsync_file(file)
        fsync_folder(temporary)
        old = None
        if path.exists():
            old = _temporary(path)
            os.replace(path, old)
        os.replace(temporary, path)
        fsync_folder(path.parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep_orphans(folder: str | Path) -> int:
    """Delete temporary files and folders that killed processes left in `folder`; return how many."""
    count = 0
    for orphan in Path(folder).glob(f"{_TEMPORARY}*"):
        if orphan.is_dir():
            shutil.rmtree(orphan, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                orphan.unlink()
        count += 1
    return count


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
