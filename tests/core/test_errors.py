"""Messages say what, where and what to do; errors survive the way from a worker process."""

from __future__ import annotations

import copy
import errno
import os

import pytest

from hanmo.core import errors
from hanmo.core.errors import ConfigError, HanmoError, MissingExtraError, StorageError, storage_error

KINDS = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error") and name != "MissingExtraError"]


@pytest.mark.parametrize("kind", KINDS)
def test_message(kind: type[HanmoError]) -> None:
    error = kind("the key is missing", where="recipe.toml:3", remedy="Add it.")
    assert str(error) == "recipe.toml:3: the key is missing. Add it."
    assert (error.what, error.where, error.remedy) == ("the key is missing", "recipe.toml:3", "Add it.")
    assert str(kind("磁盘已满")) == "磁盘已满"
    assert error.exit_code == (2 if kind is ConfigError else 1)


def test_errors_are_also_the_built_in_kind() -> None:
    assert issubclass(ConfigError, ValueError)
    assert issubclass(StorageError, OSError)
    assert issubclass(MissingExtraError, ImportError)


def test_missing_extra_gives_the_command() -> None:
    error = MissingExtraError("trafilatura", "corpus", "Reading HTML")
    assert "pip install 'hanmo[corpus]'" in str(error)
    assert "Reading HTML needs the library 'trafilatura'" in str(error)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("wrong", where="a:1", remedy="Fix it."),
        StorageError("the disk is full", where="x", remedy="Free some space."),
        MissingExtraError("trafilatura", "corpus", "读取 HTML"),
    ],
)
def test_errors_can_be_rebuilt(error: HanmoError) -> None:
    """What a process pool does to hand an error to the parent."""
    again = copy.copy(error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert (again.what, again.where, again.remedy) == (error.what, error.where, error.remedy)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no permission"),
        (errno.EEXIST, "in the way"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_storage_error_names_the_cause(number: int, message: str) -> None:
    error = storage_error(OSError(number, os.strerror(number)), "folder/文件")
    assert isinstance(error, StorageError)
    assert message in str(error)
    assert str(error).startswith("folder/文件: ")
    assert error.remedy


def test_storage_error_of_a_storage_error_is_said_once() -> None:
    inner = storage_error(OSError(errno.ENOSPC, "x"), "/tmp/.temporary")
    assert str(storage_error(inner, "model")) == "model: the disk is full. Free some space or write to another disk."
