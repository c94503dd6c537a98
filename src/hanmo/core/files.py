"""Atomic, fsynced writes: a reader sees the old file, the new file, or none, never half of one.

Protocol: temporary sibling, write, fsync, rename, fsync of the folder. A folder takes the place of an older one by
exchanging their names in one step; where the system cannot, the old one is moved aside and, after a crash in between,
moved back by `sweep_orphans` or the next `new_folder`.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from hanmo.core.errors import ConfigError, DataError, FormatError, HanmoError, StorageError, storage_error

__all__ = [
    "check_replaceable",
    "fsync_folder",
    "new_folder",
    "open_unpacked",
    "read_json",
    "remove_file",
    "sha256_file",
    "sha256_text",
    "sweep_orphans",
    "to_json",
    "write_atomic",
    "write_bytes",
    "write_json",
    "write_text",
]

_TEMPORARY = ".hanmo-tmp-"
_ASIDE = ".hanmo-old-"
"""Holds an older folder, under its own name, while a new one takes its place."""


def _temporary(path: Path) -> Path:
    if path.name in ("", ".."):
        raise storage_error(IsADirectoryError(errno.EISDIR, ""), path)
    # the end of the name keeps its suffixes; 40 characters of Chinese are 120 of the 255 bytes of a name
    return path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:12]}-{path.name[-40:]}")


def _fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable (rename alone is not, after a power cut)."""
    try:
        _fsync_file(path)
    except OSError as error:
        # some network file systems cannot sync a folder; their rename is all there is
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def write_atomic(path: str | Path, fill: Callable[[Path], None]) -> None:
    """Let `fill(temporary_path)` write a file, then put it at `path` in one step.

    An `OSError` about a file elsewhere, raised by `fill`, passes through unchanged.

    Raises:
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        if path.is_dir():  # said before the work, not after it
            raise IsADirectoryError(errno.EISDIR, "")
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(temporary)
        _fsync_file(temporary)
        os.replace(temporary, path)
        fsync_folder(path.parent)
    except OSError as error:
        if _is_about_other_file(error, temporary, path):
            raise
        raise storage_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _is_about_other_file(error: OSError, temporary: Path, path: Path) -> bool:
    place = error.where if isinstance(error, StorageError) else error.filename
    if not isinstance(place, str | os.PathLike):
        return False
    file = Path(os.fsdecode(place))
    own = (temporary, path, path.parent, *path.parent.parents)
    return file not in own and temporary not in file.parents and not file.name.startswith((_TEMPORARY, _ASIDE))


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically, line endings as given."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file atomically."""
    write_atomic(path, lambda temporary: _write_bytes(temporary, data))


def remove_file(path: str | Path) -> None:
    """Remove a file, if it is there.

    Raises:
        StorageError: if it cannot be.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON atomically.

    Raises:
        DataError: for a number that is not finite (JSON has none); names its key.
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    write_text(path, to_json(value, where=path, indent=2) + "\n")


def to_json(value: Any, *, where: object, indent: int | None = None) -> str:
    """JSON text that is always valid UTF-8: halves of surrogate pairs (names of files that are not UTF-8) are escaped.

    Raises:
        DataError: for a number that is not finite; names its key.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError as error:
        key, number = _find_non_finite(value) or ("", None)
        if number is None:
            raise  # a circular value: a mistake of ours, not of the data
        raise DataError(f"{key or 'the value'} = {number} cannot be written as JSON", where=where) from error
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)


def _find_non_finite(value: Any, key: str = "") -> tuple[str, float] | None:
    """(dotted key, number) of the first NaN or infinity in nested values."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (key, value)
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    found = (_find_non_finite(item, f"{key}.{name}" if key else str(name)) for name, item in items)
    return next((hit for hit in found if hit is not None), None)


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        FormatError: if it is not JSON, with the line.
        OSError: if it cannot be read.
    """
    path = Path(path)
    try:
        # -sig: editors on Windows put a byte order mark in front
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise FormatError(f"not valid JSON ({error.msg})", where=f"{path}:{error.lineno}") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FormatError(f"not valid JSON ({error})", where=path) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@contextlib.contextmanager
def open_unpacked(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file, or what is in it where it is packed with gzip; its first bytes tell, also those of a pipe.

    Raises:
        DataError: if it is not there or cannot be read, now or inside the block.
        FormatError: if it is a damaged .gz, or only its name says that it is one.
    """
    try:
        with open(path, "rb") as raw:
            first = raw.peek(2)[:2]
            if first == b"\x1f\x8b":
                with gzip.open(raw, "rb") as stream:
                    yield cast("IO[bytes]", stream)
            elif first and str(path).lower().endswith(".gz"):  # an error page that was saved under its name
                raise gzip.BadGzipFile("it is not packed")
            else:
                yield raw
    except HanmoError:  # a StorageError is an OSError
        raise
    except FileNotFoundError as error:
        raise DataError("there is no such file", where=path, remedy="Check the path.") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"a damaged .gz file ({error})", where=path, remedy="Get the file again.") from error
    except OSError as error:
        raise DataError(f"cannot read this file ({error.strerror or error})", where=path) from error


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that becomes `path` when the block ends well.

    Every file in it is fsynced before the rename. An existing folder at `path` is replaced in one step where the
    system can exchange names (Linux), else moved aside first; it is deleted only when the new one stands. An
    `OSError` about a file elsewhere, raised inside the block, passes through unchanged.

    Raises:
        StorageError: if the disk is full or may not be written, or `path` is a file; nothing is left behind.
    """
    path = Path(path)
    if path.is_symlink():
        path = path.resolve()  # the folder it points to is replaced, the link stays
    temporary = _temporary(path)
    try:
        _restore_folders(path.parent, path.name)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "")
        temporary.mkdir(parents=True)
        yield temporary
        for file in sorted(temporary.rglob("*")):
            _fsync_file(file)
        fsync_folder(temporary)
        _take_place(temporary, path)
    except OSError as error:
        if _is_about_other_file(error, temporary, path):
            raise
        raise storage_error(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(folder: str | Path, marker: str) -> None:
    """Refuse to put a new folder in the place of one that is something else.

    Args:
        folder: where the new one is to stand; there may be nothing, or an empty folder.
        marker: a file that every folder of this kind has.

    Raises:
        ConfigError: if there is a folder with other things in it and without that file.
    """
    folder = Path(folder)
    if folder.is_dir() and not (folder / marker).is_file() and any(folder.iterdir()):
        raise ConfigError(
            f"this folder holds something else (there is no {marker} in it) and is not replaced",
            where=folder,
            remedy="Choose a name that is free, or empty the folder yourself.",
        )


def _take_place(new: Path, path: Path) -> None:
    """Put the folder `new` at `path`, durably; an older one ends up at `new` or is deleted."""
    if not path.exists():
        os.replace(new, path)
        fsync_folder(path.parent)
    elif _exchange(new, path):
        fsync_folder(path.parent)
    else:
        aside = path.with_name(f"{_ASIDE}{uuid.uuid4().hex[:12]}")
        aside.mkdir()
        try:
            os.replace(path, aside / path.name)
            os.replace(new, path)
            fsync_folder(path.parent)
        finally:
            _restore(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step (renameat2 of Linux); False where the system or the file system cannot."""
    import ctypes

    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    from_working_folder, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2(from_working_folder, os.fsencode(one), from_working_folder, os.fsencode(other), exchange) == 0


def _restore(aside: Path) -> None:
    """Move a folder that was moved aside back if nothing took its place, else delete it."""
    try:
        for old in list(aside.iterdir()):
            if not (aside.parent / old.name).exists():
                os.replace(old, aside.parent / old.name)
        garbage = _temporary(aside)
        os.replace(aside, garbage)  # so that nothing half deleted is ever restored
    except OSError:
        return  # it stays safe where it is; the next sweep tries again
    shutil.rmtree(garbage, ignore_errors=True)


def _restore_folders(folder: Path, name: str = "*") -> int:
    """Restore what killed processes had moved aside in `folder`; return how many."""
    asides = [aside for aside in folder.glob(f"{_ASIDE}*") if name == "*" or (aside / name).exists()]
    for aside in asides:
        _restore(aside)
    return len(asides)


def sweep_orphans(folder: str | Path) -> int:
    """Clear up after killed processes in `folder`; return how many things were found.

    Temporary files and folders are deleted; a folder that was being replaced stands again under its name. Not to be
    called while another process writes in `folder`.
    """
    folder = Path(folder)
    count = _restore_folders(folder)
    for orphan in folder.glob(f"{_TEMPORARY}*"):
        if orphan.is_dir() and not orphan.is_symlink():
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
