"""The folder of a build that is under way: what each finished task left, so that the next run goes on from there.

work/
  plan.json        what is built, from which files; another plan begins anew
  extract/00012/   documents of a part, with their keys and signatures
  near/00000/      near-duplicates found by one task
  pack/00012/      compressed documents of a part, by side
"""

from __future__ import annotations

import bisect
import hashlib
import json
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import FormatError, HanmoError, storage_error
from hanmo.core.files import read_json, sweep_orphans, write_json
from hanmo.corpora.documents import Document

__all__ = ["Texts", "is_done", "load_arrays", "open_work", "save_arrays", "task_folder"]


_HELD_SIGNATURES, _HELD_STARTS = 16, 64
"""Parts whose signatures, and places of documents, are held at a time; those used longest ago go."""


def open_work(folder: Path, plan: Any) -> bool:
    """Open the work folder of a plan; that of another plan is deleted.

    Returns:
        Whether there is something from an earlier run.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()
    try:
        old = read_json(folder / "plan.json")["sha256"] if (folder / "plan.json").exists() else None
    except (HanmoError, KeyError, TypeError):
        old = None
    try:
        if old == digest:
            for stage in folder.iterdir():
                if stage.is_dir():
                    sweep_orphans(stage)
            return True
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    write_json(folder / "plan.json", {"sha256": digest})
    return False


def task_folder(work: Path, stage: str, number: int) -> Path:
    """Where a task leaves what it makes."""
    return work / stage / f"{number:05}"


def is_done(work: Path, stage: str, number: int) -> bool:
    """Whether a task was finished, by this run or an earlier one."""
    return task_folder(work, stage, number).is_dir()


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays by name as safetensors."""
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load_arrays(path: Path, *names: str) -> tuple[np.ndarray, ...]:
    """Read arrays by name."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return tuple(file.get_tensor(name) for name in names)


class Texts:
    """The documents of all parts, by their number in the corpus.

    Args:
        work: the work folder.
        bases: number of the first document of each part, and behind them how many documents there are.
        stage: the stage that left them.
    """

    def __init__(self, work: Path, bases: Sequence[int], stage: str = "extract"):
        self._work, self._bases, self._stage = work, bases, stage
        self._starts = lru_cache(_HELD_STARTS)(self._load_starts)
        self._signatures = lru_cache(_HELD_SIGNATURES)(self._load_signatures)

    def __getitem__(self, number: int) -> Document:
        part, place = self._place(number)
        folder = task_folder(self._work, self._stage, part)
        start, end = self._starts(part)[place : place + 2].tolist()
        with open(folder / "documents.jsonl", "rb") as file:
            file.seek(start)
            line = file.read(end - start)
        if len(line) != end - start:
            raise FormatError("this work file was cut", where=folder, remedy="Delete the work folder and run again.")
        return Document(**json.loads(line))

    def signature(self, number: int) -> np.ndarray:
        """MinHash signature of a document that has one, (64,), uint32."""
        part, place = self._place(number)
        signed, signatures = self._signatures(part)
        return signatures[np.searchsorted(signed, place)]

    def _load_starts(self, part: int) -> np.ndarray:
        return load_arrays(task_folder(self._work, self._stage, part) / "arrays.safetensors", "starts")[0]

    def _load_signatures(self, part: int) -> tuple[np.ndarray, ...]:
        path = task_folder(self._work, self._stage, part) / "arrays.safetensors"
        return load_arrays(path, "signed", "signatures")

    def _place(self, number: int) -> tuple[int, int]:
        part = bisect.bisect_right(self._bases, number) - 1
        return part, number - self._bases[part]
