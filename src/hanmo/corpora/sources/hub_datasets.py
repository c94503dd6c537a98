"""Datasets of the Hugging Face hub: their files, fetched into the hub's cache and read as any others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hanmo.core.errors import DataError
from hanmo.core.hub import hub_errors

__all__ = ["HubDataset", "fetch_dataset", "parse_hub_name"]

_NAME = re.compile(
    r"hf:/{1,3}datasets/([A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*)(?:@([\w.\-]+(?:/[\w.\-]+)*?))?(?:/(.*))?"
)
_KINDS = (".parquet", ".jsonl", ".csv", ".tsv", ".txt")
_PACKED = ("", ".gz", ".bz2", ".xz", ".zst")
_EXAMPLE = "hf://datasets/ORG/NAME, also with @REVISION and /PATH or /SPLIT behind it"


@dataclass(frozen=True, slots=True)
class HubDataset:
    """What a source names: a repository, a revision of it, and a part of it."""

    repository: str
    revision: str | None
    part: str
    """A file, a folder or a split ("train"); "" for all."""


def parse_hub_name(source: str | Path) -> HubDataset | None:
    """Read `hf://datasets/ORG/NAME[@REVISION][/PATH or SPLIT]`; None for what does not begin with `hf:/`.

    A revision with a slash in it is not told from a path: give the commit.

    Raises:
        DataError: if it begins so and is no name of a dataset.
    """
    text = str(source)
    if not text.startswith("hf:/"):
        return None
    found = _NAME.fullmatch(text)
    part = (found[3] or "").strip("/") if found else ""
    if found is None or ".." in part.split("/") or ".." in found[1]:
        raise DataError("this is no name of a dataset", where=text, remedy=f"Write {_EXAMPLE}.")
    return HubDataset(found[1], found[2], part)


def fetch_dataset(dataset: HubDataset) -> tuple[Path, list[str]]:
    """Fetch the files of text of a dataset (.parquet, .jsonl, .csv, .tsv, .txt, also compressed), or find them in the
    cache, where `HF_HUB_OFFLINE` or a missing network says so.

    Returns:
        The folder of the snapshot, and the files in it, sorted.

    Raises:
        DataError: if there is no such dataset, part of it, or file of these kinds; if access must be asked for; or if
            it is neither in the cache nor to be fetched.
    """
    import huggingface_hub

    name = f"hf://datasets/{dataset.repository}" + f"@{dataset.revision}" * (dataset.revision is not None)
    with hub_errors(DataError, dataset.repository, where=name, what="dataset"):
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            folder = _snapshot(dataset, None)
            chosen = _choose(_files_in(folder), dataset.part, name)
        else:
            listed = huggingface_hub.HfApi().list_repo_files(
                dataset.repository, repo_type="dataset", revision=dataset.revision
            )
            chosen = _choose(listed, dataset.part, name)
            folder = _snapshot(dataset, chosen)
    # The cache may hold a part of the snapshot only.
    missing = [file for file in chosen if not (folder / file).is_file()]
    if missing:
        raise DataError(f"{missing[0]} of this dataset is missing in the cache", where=name, remedy="Fetch it again.")
    return folder, chosen


def _snapshot(dataset: HubDataset, files: list[str] | None) -> Path:
    import huggingface_hub

    return Path(
        huggingface_hub.snapshot_download(
            dataset.repository, repo_type="dataset", revision=dataset.revision, allow_patterns=files
        )
    )


def _files_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _choose(files: list[str], part: str, name: str) -> list[str]:
    """The files of a kind that is read, in a part of the dataset."""
    endings = tuple(kind + packed for kind in _KINDS for packed in _PACKED)
    known = sorted(
        file
        for file in files
        if file.lower().endswith(endings) and not any(step.startswith(".") for step in file.split("/"))
    )
    if not known:
        raise DataError(f"no files of text in this dataset ({', '.join(_KINDS)})", where=name)
    chosen = [file for file in known if not part or file == part or file.startswith(part + "/")]
    if not chosen:  # a split: train.csv, train-00000-of-00002.parquet, data/train/0.jsonl
        split = re.compile(rf"(?:^|[^A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])")
        chosen = [file for file in known if split.search(file)]
    if not chosen:
        raise DataError(f"no file, folder or split {part!r} in this dataset; found {known[:8]}", where=name)
    return chosen
