"""The last task of a build: compress the kept documents of a part, each side by itself.

Files of gzip may be put behind each other, so the sides of a corpus are those of its parts, joined.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.files import new_folder, read_json, write_json
from hanmo.corpora.documents import open_gzip_writer
from hanmo.corpora.samples import Samples
from hanmo.corpora.work import Texts, is_done, load_arrays, task_folder

__all__ = ["N_SAMPLES", "SIDES", "PackTask", "pack"]

SIDES = ("train", "heldout")
N_SAMPLES = 3
"""How many kept documents of each source and language are shown."""


@dataclass(frozen=True, slots=True)
class PackTask:
    """A part whose documents have been judged: `split/NNNNN/sides.safetensors` holds 0 (train), 1 (held out) or 2 (removed)."""

    work: Path
    number: int
    stage: str
    """Where its documents are."""
    source: str
    """Name of its source."""


def pack(task: PackTask) -> int:
    """Write `pack/NNNNN/` of a part: a .gz file per side and counts.json.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if is_done(task.work, "pack", task.number):
        return task.number
    extracted = task_folder(task.work, task.stage, task.number)
    starts, sizes, keys = load_arrays(extracted / "arrays.safetensors", "starts", "sizes", "keys")
    (sides,) = load_arrays(task_folder(task.work, "split", task.number) / "sides.safetensors", "sides")
    members = read_json(extracted / "members.json")
    samples, lengths = Samples(N_SAMPLES), dict[str, Counter[str]]()
    languages: list[dict[str, Counter[str]]] = [{}, {}]
    counted: dict[str, Counter[str]] = {}
    texts = Texts(task.work, _alone(task.number, len(sides)), task.stage)
    with new_folder(task_folder(task.work, "pack", task.number)) as folder:
        with open(extracted / "documents.jsonl", "rb") as file:
            for side, name in enumerate(SIDES):
                with open_gzip_writer(folder / f"{name}.gz") as out:
                    for number in np.flatnonzero(sides == side).tolist():
                        file.seek(int(starts[number]))
                        out.write(file.read(int(starts[number + 1] - starts[number])))
        for number in np.flatnonzero(sides < 2).tolist():
            lang, (n_chars, n_bytes) = members["languages"][number], sizes[number].tolist()
            row = languages[sides[number]].setdefault(lang, Counter())
            row.update(documents=1, characters=n_chars, bytes=n_bytes)
            lengths.setdefault(lang, Counter())[str(1 << n_chars.bit_length())] += 1
            for name, found in members["counted"].get(str(number), {}).items():
                counted.setdefault(name, Counter()).update(found if isinstance(found, dict) else {"": found})
            name = " · ".join(filter(None, (task.source, lang)))
            samples.offer(name, int(keys[number, 0]) & 0xFFFFFFFFFFFF, lambda number=number: texts[number])
        write_json(
            folder / "counts.json",
            {"languages": languages, "lengths": lengths, "counted": counted, "samples": samples.to_json()},
        )
    return task.number


def _alone(part: int, n_documents: int) -> list[int]:
    """Bases under which the documents of one part are numbered from 0."""
    return [0] * (part + 1) + [n_documents]
