"""metrics.jsonl on resume: exactly what happened up to the checkpoint, each step once."""

from __future__ import annotations

import json
from pathlib import Path

from hanmo.core.files import write_text

__all__ = ["truncate_metrics"]


def truncate_metrics(path: Path, *, step: int, evaluated_at: int) -> None:
    """Drop, atomically, the lines of steps after `step`, of evaluations after `evaluated_at`, and a torn last line.

    Args:
        path: metrics.jsonl; nothing happens if it does not exist.
        step: step of the checkpoint that training goes on from; -1 drops every step.
        evaluated_at: step of the last evaluation that the checkpoint knows of.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            event = json.loads(line)
        except ValueError:
            continue  # torn by a kill
        if line.endswith("\n") and event.get("step", -1) <= (evaluated_at if "eval" in event else step):
            kept.append(line)
    write_text(path, "".join(kept))
