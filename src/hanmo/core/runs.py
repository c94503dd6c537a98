"""Run folders: `runs/NAME/` with run.json, metrics.jsonl, checkpoints/, model/ and report.html."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from hanmo.core.errors import ConfigError, FormatError, storage_error
from hanmo.core.files import read_json, sweep_orphans, to_json, write_json

__all__ = ["RunFolder"]


class RunFolder:
    """One training run on disk."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model"
        self.metrics = self.path / "metrics.jsonl"

    @classmethod
    def create(cls, path: str | Path, *, resume: bool = False) -> RunFolder:
        """Make the folder, or take an existing one up again.

        Raises:
            ConfigError: if it holds a run and `resume` is false, or holds none and `resume` is true.
            StorageError: if it cannot be made or written.
        """
        run = cls(path)
        try:
            has_run = (run.path / "run.json").exists()
        except OSError as error:
            raise storage_error(error, run.path) from error
        if resume and not has_run:
            raise ConfigError(
                "there is no run here to resume", where=run.path, remedy="Leave --resume out to start one."
            )
        if has_run and not resume:
            raise ConfigError(
                "this folder already holds a run",
                where=run.path,
                remedy="Pass --resume to go on with it, --overwrite to start again, or another --out.",
            )
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, run.path) from error
        # a killed stage may have left something half-written beside its result, one folder down
        for folder in (run.path, *(entry for entry in run.path.iterdir() if entry.is_dir())):
            sweep_orphans(folder)
        return run

    def read(self) -> dict[str, Any]:
        """The contents of run.json; empty before the first `record`.

        Raises:
            FormatError: if run.json is damaged.
        """
        file = self.path / "run.json"
        if not file.exists():
            return {}
        values = read_json(file)
        if not isinstance(values, dict):
            raise FormatError("not a JSON object", where=file, remedy="Start the run again with --overwrite.")
        return values

    def record(self, **fields: Any) -> None:
        """Merge `fields` into run.json, atomically.

        Raises:
            DataError: for a number that is not finite.
            StorageError: if it cannot be written; the old one stands.
        """
        write_json(self.path / "run.json", self.read() | fields)

    def log(self, event: dict[str, Any]) -> None:
        """Append one event to metrics.jsonl, as one whole line or not at all.

        Raises:
            DataError: for a number that is not finite (write None for it).
            StorageError: if it cannot be written.
        """
        line = (to_json(event, where=self.metrics) + "\n").encode("utf-8")
        end = None
        try:
            with open(self.metrics, "a+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                if end:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":  # a killed process left a torn line
                        line = b"\n" + line
                _write_all(file, line)
                if "eval" in event:
                    os.fsync(file.fileno())
        except OSError as error:
            if end is not None:
                with contextlib.suppress(OSError):
                    os.truncate(self.metrics, end)
            raise storage_error(error, self.metrics) from error


def _write_all(file: BinaryIO, data: bytes) -> None:
    """A full disk takes a part of the bytes first, and refuses the next call."""
    while data:
        data = data[file.write(data) :]
