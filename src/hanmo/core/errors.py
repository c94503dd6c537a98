"""Errors that say what happened, where, and what to do about it."""

from __future__ import annotations

import errno
from typing import Any

__all__ = [
    "ConfigError",
    "DataError",
    "FormatError",
    "HanmoError",
    "MissingExtraError",
    "ModelError",
    "StorageError",
    "TrainingError",
    "storage_error",
]


class HanmoError(Exception):
    """An error with a place and a remedy; the command line prints it without a traceback.

    Args:
        what: one sentence without the final full stop: what is wrong.
        where: the file, `file:line`, recipe key or argument it was found in.
        remedy: one sentence: what the user can do.
    """

    exit_code = 1
    """Exit code of the command line: 1 failed, 2 wrong use."""

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None):
        self.what, self.where, self.remedy = what, where, remedy
        head = f"{where}: {what}" if where is not None else what
        super().__init__(f"{head}. {remedy}" if remedy else head)


class ConfigError(HanmoError, ValueError):
    """A setting, recipe or argument that the user wrote cannot work."""

    exit_code = 2


class DataError(HanmoError, ValueError):
    """The documents or examples that were given cannot be used."""


class FormatError(HanmoError, ValueError):
    """A file is not what its name or its reader says it is."""


class ModelError(HanmoError, ValueError):
    """A model directory is incomplete, damaged or of another kind."""


class TrainingError(HanmoError, RuntimeError):
    """Training cannot go on (NaN loss, a checkpoint that does not belong to this run)."""


class StorageError(HanmoError, OSError):
    """The disk is full, read-only, or may not be written by this user."""


class MissingExtraError(HanmoError, ImportError):
    """An optional library is needed for what was asked."""

    exit_code = 2

    def __init__(self, library: str, extra: str, purpose: str):
        super().__init__(
            f"{purpose} needs the library {library!r}, which is not installed",
            remedy=f"Install it with: pip install 'hanmo[{extra}]'",
        )
        self._arguments = (library, extra, purpose)

    def __reduce__(self) -> tuple[Any, ...]:
        # an error of a worker process is rebuilt from the arguments of its class, not from its message
        return type(self), self._arguments


_STORAGE_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "Free some space or write to another disk."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space or write to another disk."),
    errno.EFBIG: ("the file is larger than this system allows", "Raise the file size limit (ulimit -f)."),
    errno.EACCES: ("no permission to write here", "Choose a folder you may write to."),
    errno.EPERM: ("no permission to write here", "Choose a folder you may write to."),
    errno.EROFS: ("this file system is read-only", "Choose a folder you may write to."),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "Choose another path."),
    errno.EISDIR: ("this path is a folder, not a file", "Choose another path."),
    errno.EEXIST: ("a file of this name is in the way", "Choose another path."),
    errno.ENAMETOOLONG: ("this name is too long", "Choose a shorter name."),
}


def storage_error(error: OSError, where: object) -> StorageError:
    """Turn an `OSError` met while writing `where` into a `StorageError` with a remedy."""
    if isinstance(error, StorageError):  # met deeper down, in a temporary file
        return StorageError(error.what, where=where, remedy=error.remedy)
    what, remedy = _STORAGE_REMEDIES.get(
        error.errno or 0, (error.strerror or str(error), "Check the disk and the path.")
    )
    return StorageError(what, where=where, remedy=remedy)
