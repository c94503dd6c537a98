"""A corpus that stands already: used as it is, with its own split."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hanmo.core.errors import FormatError
from hanmo.core.files import read_json, sha256_file, write_atomic
from hanmo.corpora.build import build_corpus
from hanmo.corpora.extract import LoadScorer
from hanmo.corpora.settings import CorpusSettings

__all__ = ["collect_corpus", "take_corpus"]


def collect_corpus(
    source: str, out: str | Path, settings: CorpusSettings, *, load_scorer: LoadScorer | None = None
) -> None:
    """Put a corpus at `out`: the one that stands at `source`, or one built from the text there.

    Raises:
        FormatError: if the corpus there was changed.
        DataError: if there is no text, or too little.
        StorageError: if the disk is full or may not be written.
    """
    if (Path(source) / "corpus.json").is_file():
        take_corpus(source, out)
    else:
        build_corpus(source, out, settings, load_scorer=load_scorer)


def take_corpus(folder: str | Path, out: str | Path) -> None:
    """Copy a corpus, after checking that its files are those that were written.

    Raises:
        FormatError: if a file is missing or was changed.
        StorageError: if the disk is full or may not be written.
    """
    folder, out = Path(folder), Path(out)
    report = read_json(folder / "corpus.json")
    out.mkdir(parents=True, exist_ok=True)
    for side in ("train", "heldout"):
        recorded: Any = report.get(side) if isinstance(report, dict) else None
        path = folder / f"{side}.jsonl.gz"
        if not isinstance(recorded, dict) or not path.is_file() or sha256_file(path) != recorded.get("sha256"):
            raise FormatError(
                "this file is not the one that corpus.json describes", where=path,
                remedy="Build the corpus again: hanmo corpus build.",
            )  # fmt: skip
        write_atomic(out / path.name, lambda target, path=path: _copy(path, target))
    write_atomic(out / "corpus.json", lambda target: _copy(folder / "corpus.json", target))


def _copy(path: Path, target: Path) -> None:
    shutil.copyfile(path, target)
