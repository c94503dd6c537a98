"""Near-duplicates as tasks of a build: bands to links, and components to the documents that are removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.files import new_folder
from hanmo.corpora.dedup.components import band_links, find_components
from hanmo.corpora.dedup.near import N_BANDS, NearDuplicates
from hanmo.corpora.work import Texts, is_done, load_arrays, save_arrays, task_folder

__all__ = [
    "BandTask", "JudgeTask", "find_links", "judge_components", "plan_bands", "plan_judges", "removed_by", "signed_documents",
]  # fmt: skip

_BAND_DOCUMENTS = 4_000_000
"""Documents whose keys of a band are held at a time."""
_BANDS_AT_ONCE = 4
"""Bands that one task looks at: every task reads the signatures of all documents again."""
_FEW_DOCUMENTS = 100_000
"""Up to so many, one task looks at all bands."""
_JUDGED_AT_ONCE = 2_000
"""Documents in the components that one task judges."""


@dataclass(frozen=True, slots=True)
class BandTask:
    """Bands whose sharers are to be linked."""

    work: Path
    number: int
    first_band: int
    end_band: int
    bucket: int
    n_buckets: int
    bases: tuple[int, ...]


def signed_documents(work: Path, bases: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers (n,) and signatures (n, 64) of the documents, part by part, that take part: exact copies do not."""
    for part in range(len(bases) - 1):
        numbers, signatures = load_arrays(
            task_folder(work, "extract", part) / "arrays.safetensors", "signed", "signatures"
        )
        (copies,) = load_arrays(task_folder(work, "exact", part) / "copies.safetensors", "copies")
        chosen = ~copies[numbers]
        if chosen.any():
            yield numbers[chosen] + bases[part], signatures[chosen]


def find_links(task: BandTask) -> int:
    """Write the links of some bands.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if not is_done(task.work, "links", task.number):
        bands = range(task.first_band, task.end_band)
        links = band_links(signed_documents(task.work, task.bases), bands, task.bucket, task.n_buckets)
        with new_folder(task_folder(task.work, "links", task.number)) as folder:
            save_arrays(folder / "links.safetensors", links=links)
    return task.number


def plan_bands(work: Path, bases: tuple[int, ...], n_signed: int) -> list[BandTask]:
    """The tasks that look at all bands of `n_signed` documents."""
    n_buckets = 1 + n_signed // _BAND_DOCUMENTS
    step = N_BANDS if n_signed < _FEW_DOCUMENTS else _BANDS_AT_ONCE
    places = [(first, bucket) for bucket in range(n_buckets) for first in range(0, N_BANDS, step)]
    return [
        BandTask(work, number, first, first + step, bucket, n_buckets, bases)
        for number, (first, bucket) in enumerate(places)
    ]


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """Components to judge: stretches of `components/00000/`."""

    work: Path
    number: int
    first: int
    end: int
    bases: tuple[int, ...]
    threshold: float


def plan_judges(work: Path, bases: tuple[int, ...], n_links: int, threshold: float) -> list[JudgeTask]:
    """Write the components that the links of all `n_links` band tasks make, and give the tasks that judge them."""
    links = [load_arrays(task_folder(work, "links", n) / "links.safetensors", "links")[0] for n in range(n_links)]
    components = find_components(np.unique(np.concatenate(links), axis=0))
    starts = np.concatenate([[0], np.cumsum([len(component) for component in components])]).astype(np.int64)
    with new_folder(task_folder(work, "components", 0)) as folder:
        members = np.concatenate([np.zeros(0, dtype=np.int64), *components])
        save_arrays(folder / "components.safetensors", members=members, starts=starts)
    # the first component whose end reaches each multiple of the load of a task ends that task
    loads = np.arange(_JUDGED_AT_ONCE, starts[-1] + _JUDGED_AT_ONCE, _JUDGED_AT_ONCE)
    ends = np.minimum(np.unique(np.searchsorted(starts, loads)), len(components)).tolist()
    return [
        JudgeTask(work, number, first, end, bases, threshold)
        for number, (first, end) in enumerate(zip([0, *ends], ends, strict=False))
    ]


def judge_components(task: JudgeTask) -> int:
    """Write which documents of some components are near to one that is kept, and to which.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if is_done(task.work, "near", task.number):
        return task.number
    members, starts = load_arrays(
        task_folder(task.work, "components", 0) / "components.safetensors", "members", "starts"
    )
    texts = Texts(task.work, task.bases)
    removed: list[tuple[int, int]] = []
    for component in range(task.first, task.end):
        near = NearDuplicates(lambda number: texts[number].text, task.threshold)
        own = members[starts[component] : starts[component + 1]].tolist()
        found = ((number, near.find_or_keep(number, texts.signature(number))) for number in own)
        removed += [(number, kept) for number, kept in found if kept is not None]
    with new_folder(task_folder(task.work, "near", task.number)) as folder:
        save_arrays(folder / "removed.safetensors", removed=np.array(removed, dtype=np.int64).reshape(-1, 2))
    return task.number


def removed_by(work: Path, n_tasks: int) -> np.ndarray:
    """What all judges found: (removed document, kept document), (k, 2), int64, by the first."""
    found = [load_arrays(task_folder(work, "near", n) / "removed.safetensors", "removed")[0] for n in range(n_tasks)]
    pairs = np.concatenate([np.zeros((0, 2), dtype=np.int64), *found])
    return pairs[np.argsort(pairs[:, 0], kind="stable")]
