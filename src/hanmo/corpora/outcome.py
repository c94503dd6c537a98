"""What the stages of a build left so far: the counts of its parts, arrays over its documents, and which are removed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.files import read_json
from hanmo.corpora.parts import Part
from hanmo.corpora.plan import Plan
from hanmo.corpora.settings import CorpusSettings, Source
from hanmo.corpora.sources.files import known_kinds
from hanmo.corpora.work import load_arrays, task_folder

__all__ = ["Outcome"]


@dataclass
class Outcome:
    """Grows with each stage; N documents were extracted, K are there after editing."""

    work: Path
    """The work folder."""
    sources: list[Source]
    """What is read."""
    settings: CorpusSettings
    """What is done to it."""
    plan: Plan = field(default_factory=lambda: Plan((), ()))
    """Its files and parts."""
    counts: list[dict[str, Any]] = field(default_factory=list)
    """counts.json of the first stage, by part."""
    members: list[dict[str, Any]] = field(default_factory=list)
    """members.json of `stage`, by part."""
    edits: list[dict[str, Any]] = field(default_factory=list)
    """counts.json of the edited parts, where there are such."""
    bases: tuple[int, ...] = (0,)
    """Number of the first document of each part, and behind them how many there are."""
    copies: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Which are exact copies, (N,), bool."""
    near: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    """Near-duplicates, each with the document that is kept, (k, 2), int64."""
    removed: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Which are one or the other, (N,), bool."""
    stage: str = "extract"
    """The stage that left the documents as they are now."""
    kept: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Which of these go into the corpus, (K,), bool."""
    kept_bases: tuple[int, ...] = (0,)
    """As `bases`, of these."""

    @property
    def name(self) -> str:
        """What is read, for people."""
        return ", ".join(source.name or source.path for source in self.sources)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts, in order."""
        return self.plan.parts

    def read(self, stage: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[int, ...]]:
        """Counts, members and bases that a stage left."""
        folders = [task_folder(self.work, stage, part.number) for part in self.parts]
        members = [read_json(folder / "members.json") for folder in folders]
        bases = np.concatenate([[0], np.cumsum([len(part["groups"]) for part in members])])
        return [read_json(folder / "counts.json") for folder in folders], members, tuple(bases.astype(int).tolist())

    def parts_of(self, stage: str, file: str, name: str) -> list[np.ndarray]:
        """An array that a stage left for each part."""
        paths = [task_folder(self.work, stage, part.number) / f"{file}.safetensors" for part in self.parts]
        return [load_arrays(path, name)[0] for path in paths]

    def arrays(self, name: str, stage: str = "extract") -> np.ndarray:
        """An array over all documents."""
        return np.concatenate(self.parts_of(stage, "arrays", name))

    def sum(self, name: str) -> Counter[str]:
        """A count by name, over what all parts say of it."""
        return sum((Counter(counts[name]) for counts in [*self.counts, *self.edits] if name in counts), Counter())

    @property
    def files_skipped(self) -> Counter[str]:
        """Files that were not read, by reason."""
        return Counter(item.reason for item in self.plan.skipped) + self.sum("files_skipped")

    def losses(self) -> str:
        """What went most often, for the end of an error."""
        counts = self.files_skipped + self.sum("rows_skipped") + self.sum("dropped")
        counts += Counter({"exact duplicate": int(self.copies.sum()), "near-duplicate": len(self.near)})
        return "".join(f"; {count:,} × {reason}" for reason, count in counts.most_common(5))

    def nothing(self) -> DataError:
        """The error for sources with no document in them."""
        skipped = self.files_skipped + self.sum("rows_skipped")
        found = "everything was skipped" if skipped else "it is empty"
        return DataError(
            f"no documents found: {found}{self.losses()}",
            where=self.name,
            remedy=f"Give a folder or file of these kinds: {known_kinds()}. Rows need text_key.",
        )
