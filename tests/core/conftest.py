"""A file layer in which the n-th call fails, for n = 1, 2, 3 … (the way SQLite tests its I/O errors)."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from typing import Any

import pytest


class Faults:
    """Counts open, write, fsync, rename and mkdir; the n-th raises, or ends the process as a kill would.

    A failing write has already put half of its bytes on the disk.
    """

    def __init__(self, fail_at: int, number: int = errno.ENOSPC, *, kill: bool = False):
        self.fail_at, self.number, self.kill = fail_at, number, kill
        self.calls: list[str] = []

    @property
    def struck(self) -> bool:
        return len(self.calls) >= self.fail_at

    def tick(self, name: str, half: Callable[[], object] | None = None) -> None:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            if half is not None:
                half()
            if self.kill:
                os._exit(9)
            raise OSError(self.number, os.strerror(self.number))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("open", "replace", "mkdir"):
            patch.setattr(os, name, self._counted(name, getattr(os, name)))
        patch.setattr(os, "fsync", self._counted("fsync", lambda descriptor: None))  # no power is cut here
        plain_open, tick = io.open, self.tick

        class FaultyFile(io.FileIO):
            def write(self, data: Any, /) -> int:
                tick("write", lambda: super(FaultyFile, self).write(bytes(data)[: len(data) // 2]))
                return super().write(data)

        def faulty_open(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding: Any = None,
            errors: Any = None,
            newline: Any = None,
        ) -> Any:
            if not set(mode) & set("wax+"):
                return plain_open(file, mode, buffering, encoding, errors, newline)
            tick("open")
            raw = FaultyFile(file, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            buffered = io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

        patch.setattr(io, "open", faulty_open)
        patch.setattr(builtins, "open", faulty_open)

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.tick(name)
            return call(*arguments, **options)

        return counted


@pytest.fixture
def faults_at() -> type[Faults]:
    """`faults_at(n)` makes a file layer whose n-th call fails."""
    return Faults
