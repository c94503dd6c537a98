"""What is taken out of documents that stay: paragraphs and stretches that stood earlier, and texts of evaluation sets.

Three tasks a part, with two rounds of comparing keys between them:

    keys/NNNNN/       keys of paragraphs, fingerprints, counts of n-grams of the evaluation sets
    stretches/NNNNN/  keys of the stretches around fingerprints that are there more than once
    edited/NNNNN/     the documents as they go on, in the form of extract/NNNNN/
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.files import new_folder, write_json
from hanmo.corpora.dedup.contamination import count_documents, find_all
from hanmo.corpora.dedup.decontamination import decontaminate
from hanmo.corpora.dedup.evaluation_index import EvaluationIndex
from hanmo.corpora.dedup.near import exact_key
from hanmo.corpora.dedup.paragraphs import paragraph_keys_of
from hanmo.corpora.dedup.removal import remove_spans
from hanmo.corpora.dedup.substrings import fingerprints, stretch_keys, stretch_spans
from hanmo.corpora.documents import Document
from hanmo.corpora.extract import COUNTED, DocumentWriter, rank_of
from hanmo.corpora.report import N_EXAMPLES
from hanmo.corpora.samples import Samples
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.work import is_done, load_arrays, save_arrays, task_folder

__all__ = ["CONTAMINATED", "LITTLE_LEFT", "EditTask", "edit", "find_keys", "find_stretches"]

LITTLE_LEFT = "little left after what stood earlier"
CONTAMINATED = "contains an evaluation text"
_MIN_SHARE_LEFT, _MIN_CHARS_LEFT = 0.2, 20
"""A document of which less is left is dropped."""


@dataclass(frozen=True, slots=True)
class EditTask:
    """A part whose documents are edited."""

    work: Path
    number: int
    settings: CorpusSettings

    @property
    def index(self) -> EvaluationIndex | None:
        """The evaluation texts, if there are any to look for."""
        return EvaluationIndex.load(self.work / "evaluation") if self.settings.evaluation_texts else None


def _documents(task: EditTask) -> Iterator[Document]:
    """The documents of a part that were not removed."""
    (removed,) = load_arrays(task_folder(task.work, "removed", task.number) / "removed.safetensors", "removed")
    with open(task_folder(task.work, "extract", task.number) / "documents.jsonl", "rb") as file:
        for line, is_removed in zip(file, removed, strict=True):
            if not is_removed:
                yield Document(**json.loads(line))


def _texts(task: EditTask) -> Iterator[str]:
    """The texts of a part; of code nothing, which has its own habits."""
    return ("" if document.lang == "code" else document.text for document in _documents(task))


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *arrays])


def _each(array: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """An array cut into the pieces of each document; `counts`, (n_documents,)."""
    return np.split(array, np.cumsum(counts)[:-1]) if len(counts) else []


def find_keys(task: EditTask) -> int:
    """Write the keys of the paragraphs and the fingerprints of a part, and how many documents have each n-gram of the
    evaluation sets.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if is_done(task.work, "keys", task.number):
        return task.number
    arrays: dict[str, np.ndarray] = {}
    if task.settings.duplicate_paragraphs:
        found = list(paragraph_keys_of(_texts(task)))
        arrays["paragraphs"] = _joined([keys for keys, _, _ in found], np.uint64)
        arrays["paragraph_starts"] = _joined([starts for _, starts, _ in found], np.int64)
        arrays["paragraph_ends"] = _joined([ends for _, _, ends in found], np.int64)
        arrays["paragraphs_of"] = np.array([len(keys) for keys, _, _ in found], dtype=np.int64)
    if task.settings.duplicate_stretches:
        marked = [fingerprints(text) for text in _texts(task)]
        arrays["fingerprints"] = _joined([keys for keys, _ in marked], np.uint64)
        arrays["fingerprint_places"] = _joined([places for _, places in marked], np.int64)
        arrays["fingerprints_of"] = np.array([len(keys) for keys, _ in marked], dtype=np.int64)
    if (index := task.index) is not None:
        arrays["counts"] = count_documents(index, _texts(task))
    with new_folder(task_folder(task.work, "keys", task.number)) as folder:
        save_arrays(folder / "keys.safetensors", **arrays)
    return task.number


def find_stretches(task: EditTask) -> int:
    """Write the keys of the stretches of a part that have a repeated fingerprint in them.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if is_done(task.work, "stretches", task.number):
        return task.number
    keys = task_folder(task.work, "keys", task.number) / "keys.safetensors"
    places, counts = load_arrays(keys, "fingerprint_places", "fingerprints_of")
    (marks,) = load_arrays(task_folder(task.work, "fingerprints", task.number) / "marks.safetensors", "marks")
    each = zip(_texts(task), _each(places, counts), _each(marks, counts), strict=True)
    found = [stretch_keys(text, own[mark]) for text, own, mark in each]
    with new_folder(task_folder(task.work, "stretches", task.number)) as folder:
        save_arrays(
            folder / "keys.safetensors",
            stretches=_joined([own for own, _ in found], np.uint64),
            stretch_starts=_joined([starts for _, starts in found], np.int64),
            stretches_of=np.array([len(own) for own, _ in found], dtype=np.int64),
        )
    return task.number


def edit(task: EditTask) -> int:
    """Write the documents of a part as they go on.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if is_done(task.work, "edited", task.number):
        return task.number
    with new_folder(task_folder(task.work, "edited", task.number)) as folder:
        _Edit(task).write(folder)
    return task.number


class _Edit:
    def __init__(self, task: EditTask):
        self._task = task
        self._dropped: Counter[str] = Counter()
        self._dropped_characters: Counter[str] = Counter()
        self._edits: Counter[str] = Counter()
        self._edited_characters: Counter[str] = Counter()
        self._sets: Counter[str] = Counter()
        self._listed: list[tuple[int, str, str]] = []
        self._examples = Samples(N_EXAMPLES)

    def write(self, folder: Path) -> None:
        with open(folder / "documents.jsonl", "wb") as file:
            writer = DocumentWriter(file)
            for pieces in self._pieces():
                for piece in pieces:
                    writer.add(piece)
            writer.save(folder)
        write_json(
            folder / "counts.json",
            {
                "dropped": self._dropped, "dropped_characters": self._dropped_characters, "edits": self._edits,
                "edited_characters": self._edited_characters, "sets": self._sets, "listed": [(identity, reason) for _, identity, reason in sorted(self._listed)],
                "examples": self._examples.to_json(),
            },
        )  # fmt: skip

    def _pieces(self) -> Iterator[list[Document]]:
        """What is left of each document, in order."""
        texts = self._without_repeats()
        index = self._task.index
        if index is None:
            yield from ([] if document is None else [document] for document in texts)
            return
        (common,) = load_arrays(self._task.work / "evaluation-common.safetensors", "common")
        searched, texts = itertools.tee(texts)
        found = find_all(
            index, (document.text if document and document.lang != "code" else "" for document in searched),
            common=common, min_share=self._task.settings.min_contaminated_share,
        )  # fmt: skip
        for place, (document, matches) in enumerate(zip(texts, found, strict=True)):
            if document is None:
                yield []
                continue
            pieces = decontaminate(document.text, matches, self._task.settings.contaminated)
            self._sets.update({match.name for match in matches})
            if not pieces:
                sample = document.text[matches[0].start : matches[0].end]
                self._drop(place, document, CONTAMINATED, f"{matches[0].name}: {sample[:120]}")
                yield []
            elif matches:
                self._edits["evaluation texts"] += 1
                self._edited_characters["evaluation texts"] += len(document.text) - sum(map(len, pieces))
                rest = {name: value for name, value in document.meta.items() if name not in COUNTED}
                yield [
                    dataclasses.replace(
                        document, text=piece, id=f"{document.id}/{number}", meta=document.meta if number == 1 else rest
                    )
                    for number, piece in enumerate(pieces, 1)
                ]
            else:
                yield [document]

    def _without_repeats(self) -> Iterator[Document | None]:
        """Each document without what stood earlier; None where little is left."""
        for place, (document, spans, kinds) in enumerate(zip(_documents(self._task), *self._spans(), strict=True)):
            if not spans:
                yield document
                continue
            text = remove_spans(document.text, spans).strip("\n")
            if len(text) < max(_MIN_SHARE_LEFT * len(document.text), _MIN_CHARS_LEFT):
                self._drop(place, document, LITTLE_LEFT)
                yield None
            else:
                if "stretches" in kinds:  # most lie within paragraphs that were there before
                    rest = len(document.text) - len(text) - kinds.get("paragraphs", 0)
                    kinds = {**kinds, "stretches": rest}
                found = {kind: n for kind, n in kinds.items() if n > 0}
                self._edits.update(found.keys())
                self._edited_characters.update(found)
                yield dataclasses.replace(document, text=text)

    def _spans(self) -> tuple[Iterator[list[tuple[int, int]]], Iterator[dict[str, int]]]:
        task, n_documents = self._task, sum(1 for _ in _documents(self._task))
        spans: list[list[tuple[int, int]]] = [[] for _ in range(n_documents)]
        kinds: list[dict[str, int]] = [{} for _ in range(n_documents)]
        keys = task_folder(task.work, "keys", task.number) / "keys.safetensors"
        if task.settings.duplicate_paragraphs:
            starts, ends, counts = load_arrays(keys, "paragraph_starts", "paragraph_ends", "paragraphs_of")
            (marks,) = load_arrays(task_folder(task.work, "paragraphs", task.number) / "marks.safetensors", "marks")
            owners = np.repeat(np.arange(n_documents), counts)
            for owner, start, end in zip(
                owners[marks].tolist(), starts[marks].tolist(), ends[marks].tolist(), strict=True
            ):
                spans[owner].append((start, end))
                kinds[owner]["paragraphs"] = kinds[owner].get("paragraphs", 0) + end - start
        if task.settings.duplicate_stretches:
            stretches = task_folder(task.work, "stretches", task.number) / "keys.safetensors"
            starts, counts = load_arrays(stretches, "stretch_starts", "stretches_of")
            (marks,) = load_arrays(task_folder(task.work, "repeats", task.number) / "marks.safetensors", "marks")
            chosen = [own[mark] for own, mark in zip(_each(starts, counts), _each(marks, counts), strict=True)]
            for owner, (text, own) in enumerate(zip(_texts(task), chosen, strict=True)):
                if len(own):
                    found = stretch_spans(text, own)
                    spans[owner] += found
                    kinds[owner]["stretches"] = sum(end - start for start, end in found)
        return iter(spans), iter(kinds)

    def _drop(self, place: int, document: Document, reason: str, note: str = "") -> None:
        self._dropped[reason] += 1
        self._dropped_characters[reason] += len(document.text)
        self._listed.append((place, document.id, f"{reason} ({note})" if note else reason))
        self._examples.offer(reason, rank_of(exact_key(document.id)), lambda: document, note_of=lambda: note)
