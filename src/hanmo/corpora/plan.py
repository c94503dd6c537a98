"""What a build reads: the files of its sources, cut into parts, and all that its result depends on besides them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hanmo import __version__
from hanmo.core.errors import DataError
from hanmo.corpora.dedup.evaluation_texts import list_evaluation_files
from hanmo.corpora.documents import Skipped
from hanmo.corpora.parts import Part, plan_parts
from hanmo.corpora.settings import CorpusSettings, Source
from hanmo.corpora.sources.files import SourceFile, known_kinds, list_files
from hanmo.corpora.sources.stdlib import list_stdlib

__all__ = ["Plan", "evaluation_sets", "fingerprint", "plan_build"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read, in order."""

    parts: tuple[Part, ...]
    """Files that are read together."""
    skipped: tuple[Skipped, ...]
    """Files that are not read."""


def plan_build(sources: Sequence[Source], *, out: Path) -> Plan:
    """List the files of the sources, and cut them into parts.

    Args:
        sources: what is read.
        out: folder of the corpus, left out where it lies inside a source.

    Raises:
        DataError: if a source is not there, or one of several has no file that is read.
    """
    parts: list[Part] = []
    skipped: list[Skipped] = []
    for number, source in enumerate(sources):
        is_stdlib = source.path == "stdlib"
        files, left_out = list_stdlib() if is_stdlib else list_files(source.path, exclude=out)
        if source.only:
            wanted = [any(fnmatch(file.name, pattern) for pattern in source.only) for file in files]
            left_out = list(left_out)
            left_out += (
                Skipped(source=file.name, reason="not asked for (only)")
                for file, is_wanted in zip(files, wanted, strict=True)
                if not is_wanted
            )
            files = [file for file, is_wanted in zip(files, wanted, strict=True) if is_wanted]
        if source.name:
            files = [dataclasses.replace(file, name=f"{source.name}/{file.name}") for file in files]
            left_out = [dataclasses.replace(item, source=f"{source.name}/{item.source}") for item in left_out]
        skipped += left_out
        if files:
            parts += plan_parts(number, files, first=len(parts), topics=is_stdlib)
        elif len(sources) > 1:
            raise DataError(
                f"the source {source.name!r} has no file to read", where=source.path,
                remedy=f"Known kinds: {known_kinds()}.",
            )  # fmt: skip
    return Plan(tuple(parts), tuple(skipped))


def fingerprint(plan: Plan, sources: Sequence[Source], settings: CorpusSettings) -> dict[str, Any]:
    """All that the result of a build depends on: where any of it changed, what an earlier run left is of no use.

    Files count by name, size and time: those that are read, those of the evaluation sets, and those of the models.

    Raises:
        DataError: if there are no evaluation texts where some should be.
    """
    evaluation = [file for path in settings.evaluation_texts for file in list_evaluation_files(path)]
    models = [file for chosen in settings.perplexity.values() for file in _files_at(Path(chosen.model))]
    return {
        "version": __version__,
        "settings": settings.model_dump(mode="json"),
        "sources": [source.model_dump(mode="json") for source in sources],
        "files": [_state_of(file) for part in plan.parts for file in part.files],
        "evaluation": [_state_of(SourceFile(file, str(file))) for file in evaluation],
        "models": [_state_of(SourceFile(file, str(file))) for file in models],
    }


def evaluation_sets(paths: Sequence[str]) -> dict[str, str]:
    """Evaluation sets by name: that of the file or folder, or the whole path where two have the same."""
    names = {path: Path(path).name for path in paths}
    n_named = Counter(names.values())
    return {name if n_named[name] == 1 else path: path for path, name in names.items()}


def _files_at(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _state_of(file: SourceFile) -> tuple[str, int, int]:
    """Name, size in bytes and time of a file, by which a change is seen."""
    try:
        status = file.path.stat()
    except OSError:  # reading it will say why
        return file.name, 0, 0
    return file.name, status.st_size, status.st_mtime_ns
