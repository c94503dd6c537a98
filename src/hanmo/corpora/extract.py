"""The first task of a build: read the files of a part, clean their documents, leave them with keys and signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from hanmo.core.files import new_folder, sha256_file, write_json
from hanmo.corpora.cleaning import clean
from hanmo.corpora.dedup.near import N_BANDS, N_ROWS, exact_key, shingles, signature
from hanmo.corpora.documents import Document, Skipped, document_line
from hanmo.corpora.parts import Part
from hanmo.corpora.quality.perplexity import Bounds, perplexity_problem
from hanmo.corpora.report import MAX_LISTED, N_EXAMPLES
from hanmo.corpora.samples import Samples
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.stdlib import read_topics
from hanmo.corpora.work import is_done, save_arrays, task_folder

__all__ = ["COUNTED", "DocumentWriter", "ExtractTask", "LoadScorer", "extract", "rank_of"]

COUNTED = ("mojibake_lines", "redacted", "removed_lines")
"""What cleaning counts in the meta of a document and the report sums up."""


LoadScorer = Callable[[str], Callable[[str], float]]
"""From the path of a language model to a function from a text to bits per character. A function of a module, which other
processes can find."""


@dataclass(frozen=True, slots=True)
class ExtractTask:
    """A part to read."""

    work: Path
    part: Part
    settings: CorpusSettings
    load_scorer: LoadScorer | None = None
    """Loads the models of `settings.perplexity`."""


@dataclass
class _Tally:
    """What happened in a part."""

    files_read: int = 0
    files_skipped: Counter[str] = field(default_factory=Counter)
    rows_skipped: Counter[str] = field(default_factory=Counter)
    documents_read: int = 0
    characters_read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_characters: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    listed: list[tuple[str, str]] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)

    def list(self, source: str, reason: str) -> None:
        if len(self.listed) < MAX_LISTED:
            self.listed.append((source, reason))

    def skip_file(self, item: Skipped) -> None:
        self.files_skipped[item.reason] += 1
        self.list(item.source, item.reason)


def rank_of(key: bytes) -> int:
    """A hash as a number that JSON holds."""
    return int.from_bytes(key[:6], "little")


def extract(task: ExtractTask) -> Part:
    """Write `extract/NNNNN/` of a part: documents.jsonl, arrays.safetensors, members.json, counts.json.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    if not is_done(task.work, "extract", task.part.number):
        with new_folder(task_folder(task.work, "extract", task.part.number)) as folder:
            _Extraction(task).write(folder)
    return task.part


class DocumentWriter:
    """Writes the documents of a part, and what other stages have to know of them.

    Args:
        file: `documents.jsonl` of the folder that `save` is given.
        sign: make MinHash signatures.
    """

    def __init__(self, file: IO[bytes], *, sign: bool = False):
        self._file, self._sign = file, sign
        self._starts = [0]
        self._keys: list[np.ndarray] = []
        self._sizes: list[tuple[int, int]] = []
        self._signed: list[int] = []
        self._signatures: list[np.ndarray] = []
        self._members: dict[str, Any] = {"groups": [], "pieces": [], "languages": [], "counted": {}}

    def add(self, document: Document) -> None:
        """Write a document."""
        number, members = len(self._keys), self._members
        self._starts.append(self._starts[-1] + self._file.write(document_line(document)))
        self._keys.append(np.frombuffer(exact_key(document.text)[:16], dtype="<u8"))
        self._sizes.append((len(document.text), len(document.text.encode("utf-8", "surrogatepass"))))
        members["languages"].append(document.lang)
        members["groups"].append(document.group)
        members["pieces"].append(document.meta.get("piece"))
        if found := {name: document.meta[name] for name in COUNTED if name in document.meta}:
            members["counted"][str(number)] = found
        if self._sign and len(own := shingles(document.text)):
            self._signed.append(number)
            self._signatures.append(signature(own))

    def save(self, folder: Path) -> None:
        """Write arrays.safetensors and members.json."""
        save_arrays(
            folder / "arrays.safetensors",
            starts=np.array(self._starts, dtype=np.int64),
            keys=np.array(self._keys, dtype=np.uint64).reshape(-1, 2),
            sizes=np.array(self._sizes, dtype=np.int64).reshape(-1, 2),
            signed=np.array(self._signed, dtype=np.int64),
            signatures=np.array(self._signatures, dtype=np.uint32).reshape(-1, N_BANDS * N_ROWS),
        )
        write_json(folder / "members.json", self._members)


class _Extraction:
    def __init__(self, task: ExtractTask):
        self._task, self._settings = task, task.settings
        self._tally, self._examples = _Tally(), Samples(N_EXAMPLES)

    def write(self, folder: Path) -> None:
        with open(folder / "documents.jsonl", "wb") as file:
            writer = DocumentWriter(file, sign=self._settings.near_duplicates)
            for document in self._documents():
                writer.add(document)
            writer.save(folder)
        write_json(folder / "counts.json", {**vars(self._tally), "examples": self._examples.to_json()})

    def _documents(self) -> Iterator[Document]:
        """The documents that cleaning leaves, counted."""
        tally = self._tally
        for document in self._read():
            tally.documents_read += 1
            tally.characters_read += len(document.text)
            tally.encodings[str(document.meta.get("encoding", "utf-8"))] += 1
            cleaned, reason = clean(document, self._settings)
            reason = reason or self._perplexity_problem(cleaned)
            if reason is None:
                yield cleaned
                continue
            tally.dropped[reason] += 1
            tally.dropped_characters[reason] += len(document.text)
            tally.list(document.id, reason)
            shown = cleaned if cleaned.text else document
            self._examples.offer(reason, rank_of(exact_key(document.id)), lambda shown=shown: shown)

    def _perplexity_problem(self, document: Document) -> str | None:
        chosen = self._settings.perplexity.get(document.lang)
        if chosen is None:
            return None
        assert self._task.load_scorer is not None
        scorer = self._task.load_scorer(chosen.model)
        return perplexity_problem(
            document.text, document.lang, scorer, {document.lang: Bounds(chosen.low, chosen.high)}
        )

    def _read(self) -> Iterator[Document]:
        for file in self._task.part.files:
            yield from self._read_one(file)
        if self._task.part.topics:
            yield from read_topics()

    def _read_one(self, file: SourceFile) -> Iterator[Document]:
        tally = self._tally
        n_documents = n_rows = 0
        problem: Skipped | None = None
        for item in read_file(file, self._settings):
            if isinstance(item, Document):
                n_documents += 1
                yield item
            elif item.source == file.name:
                problem = item
            else:
                n_rows += 1
                tally.rows_skipped[item.reason] += 1
                tally.list(item.source, item.reason)
        if n_documents or n_rows:
            tally.files_read += 1
            tally.hashes[file.name] = sha256_file(file.path)
            if problem is not None:
                tally.rows_skipped[f"rest of the file: {problem.reason}"] += 1
                tally.list(problem.source, problem.reason)
        else:
            tally.skip_file(problem or Skipped(source=file.name, reason="nothing in it"))
