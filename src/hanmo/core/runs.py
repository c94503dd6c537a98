"""Run folders: `runs/NAME/` with run.json, metrics.jsonl, checkpoints/, model/ and report.html."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError, storage_error
from hanmo.core.files import read_json, sweep_orphans, write_json

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
        has_run = (run.path / "run.json").exists()
        if resume and not has_run:
            raise ConfigError("there is no run here to resume", where=run.path, remedy="Leave --resume out to start one.")
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
        sweep_orphans(run.path)
        return run

    def read(self) -> dict[str, Any]:
        """The contents of run.json; empty before the first `record`."""
        file = self.path / "run.json"
        return read_json(file) if file.exists() else {}

    def record(self, **fields: Any) -> None:
        """Merge `fields` into run.json, atomically."""
        write_json(self.path / "run.json", self.read() | fields)

    def log(self, event: dict[str, Any]) -> None:
        """Append one event to metrics.jsonl."""
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n")
                file.flush()
                if "eval" in event:
                    os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(error, self.metrics) from error
