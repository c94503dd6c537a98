"""From sources to a corpus: read, repair, filter, remove duplicates, split, write.

The stages are tasks over parts of the sources, done by an executor; each leaves its result in a work folder beside the
corpus, so that a build which was stopped goes on. Parts, their order and every choice follow from the files and the
settings alone: the result is the same with any number of workers, and after any stop.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hanmo import __version__
from hanmo.core.errors import ConfigError, DataError, StorageError, storage_error
from hanmo.core.files import new_folder, read_json, sha256_file, write_atomic, write_json
from hanmo.core.progress import progress, say
from hanmo.corpora.dedup.components import find_components
from hanmo.corpora.dedup.contamination import MAX_DOCUMENTS
from hanmo.corpora.dedup.evaluation_index import build_index
from hanmo.corpora.dedup.exact import find_copies
from hanmo.corpora.dedup.first import later_occurrences, over_parts, repeated
from hanmo.corpora.dedup.near import N_BANDS
from hanmo.corpora.dedup.near_task import BandTask, JudgeTask, find_links, judge_components, removed_by
from hanmo.corpora.documents import Skipped
from hanmo.corpora.edits import EditTask, edit, find_keys, find_stretches
from hanmo.corpora.executors import Executor, Here, Processes
from hanmo.corpora.extract import ExtractTask, LoadScorer, extract, rank_of
from hanmo.corpora.pack import N_SAMPLES, SIDES, PackTask, pack
from hanmo.corpora.parts import Part, file_size, plan_parts
from hanmo.corpora.report import MAX_LISTED, N_EXAMPLES, CorpusReport, Example, Listed, SideReport, SourceReport
from hanmo.corpora.samples import Samples
from hanmo.corpora.settings import CorpusSettings, Source
from hanmo.corpora.sources.files import SourceFile, known_kinds, list_files
from hanmo.corpora.sources.stdlib import list_stdlib
from hanmo.corpora.splits import Member, Split, split_groups
from hanmo.corpora.work import Texts, load_arrays, open_work, save_arrays, task_folder

__all__ = ["build_corpus"]

_WORK = ".work"
_SMALL_BYTES = 2 * 2**20
"""Sources up to this size are read by this process: starting others takes longer."""
_BAND_DOCUMENTS = 4_000_000
"""Documents whose keys of a band are held at a time."""
_BUCKET_KEYS = 16_000_000
"""Keys of paragraphs or stretches that are compared at a time."""
_JUDGED_AT_ONCE = 2_000
"""Documents in the components that one task judges."""


def build_corpus(
    source: str | Path | Literal["stdlib"] | Sequence[Source],
    out: str | Path,
    settings: CorpusSettings | None = None,
    *,
    n_workers: int | None = None,
    executor: Executor | None = None,
    load_scorer: LoadScorer | None = None,
) -> CorpusReport:
    """Build `out/train.jsonl.gz`, `out/heldout.jsonl.gz` and `out/corpus.json`.

    The same input and settings give the same bytes in both .jsonl.gz files, whoever works. `corpus.json` is removed first
    and written last: where it is, the files beside it are whole and belong to it. A build that is stopped, or killed,
    goes on from what is finished when it is called again with the same input and settings.

    Args:
        source: a folder, a file, "stdlib" for the running Python's standard library, or several sources.
        out: folder of the corpus; made if missing; left out of the reading where it lies inside a source.
        settings: limits, filters and split.
        n_workers: processes to read with; as many as there are cores if not given.
        executor: who does the tasks, instead of processes of this machine.
        load_scorer: loads the models of `settings.perplexity`.

    Raises:
        ConfigError: if there is to be a filter by perplexity, and nothing to load its models with.
        DataError: if nothing can be read, or too little is left to train on; says what was skipped and why.
        StorageError: if the disk is full or may not be written.
    """
    started = time.monotonic()
    sources = [Source(path=str(source))] if isinstance(source, str | Path) else list(source)
    build = _Build(sources, Path(out), settings or CorpusSettings(), n_workers, executor, load_scorer)
    try:
        build.prepare()
        report = build.run(started)
    except (KeyboardInterrupt, StorageError):
        if build.is_begun:
            say(f"What is finished stays in {build.work}; the same command goes on from there.")
        raise
    except DataError:
        build.clear()
        raise
    finally:
        build.close()
    build.clear()
    return report


class _Build:
    """The state of one build: what is read, by whom, and what came of it."""

    def __init__(
        self,
        sources: list[Source],
        out: Path,
        settings: CorpusSettings,
        n_workers: int | None,
        executor: Executor | None,
        load_scorer: LoadScorer | None,
    ):
        if settings.perplexity and load_scorer is None:
            raise ConfigError("a filter by perplexity needs load_scorer", where="corpus.perplexity")
        self._load_scorer = load_scorer
        self.sources, self.out, self.settings = sources, out, settings
        self.work = out / _WORK
        self.is_begun = False
        self._n_workers, self._executor, self._owns_executor = n_workers, executor, executor is None
        self.parts: list[Part] = []
        self.skipped: list[Skipped] = []
        self.counts: list[dict[str, Any]] = []
        self.members: list[dict[str, Any]] = []
        self.bases: tuple[int, ...] = (0,)
        self.copies = self.removed = np.zeros(0, dtype=bool)
        self.near = np.zeros((0, 2), dtype=np.int64)
        self.stage, self.kept, self.kept_bases = "extract", np.zeros(0, dtype=bool), (0,)
        self.edits: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        """What is read, for people."""
        return ", ".join(source.name or source.path for source in self.sources)

    def prepare(self) -> None:
        """List the files and open the work folder."""
        for number, source in enumerate(self.sources):
            is_stdlib = source.path == "stdlib"
            files, skipped = list_stdlib() if is_stdlib else list_files(source.path, exclude=self.out)
            if source.only:
                other = [file for file in files if not any(fnmatch(file.name, pattern) for pattern in source.only)]
                files = [file for file in files if file not in set(other)]
                skipped = [*skipped, *(Skipped(source=file.name, reason="not asked for (only)") for file in other)]
            if source.name:
                files = [dataclasses.replace(file, name=f"{source.name}/{file.name}") for file in files]
                skipped = [dataclasses.replace(item, source=f"{source.name}/{item.source}") for item in skipped]
            self.skipped += skipped
            if files:
                self.parts += plan_parts(number, files, first=len(self.parts), topics=is_stdlib)
            elif len(self.sources) > 1:
                raise DataError(
                    f"the source {source.name!r} has no file to read", where=source.path,
                    remedy=f"Known kinds: {known_kinds()}.",
                )  # fmt: skip
        if not self.parts:
            raise self._nothing()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.out) from error
        plan = {
            "version": __version__,
            "settings": self.settings.model_dump(mode="json"),
            "sources": [source.model_dump(mode="json") for source in self.sources],
            "files": [[file.name, *_state_of(file)] for part in self.parts for file in part.files],
        }
        if open_work(self.work, plan):
            say(f"Going on from what is finished in {self.work}.")
        self.is_begun = True

    def close(self) -> None:
        """Let the workers go."""
        if self._owns_executor and self._executor is not None:
            self._executor.close()

    def clear(self) -> None:
        """Remove the work folder."""
        shutil.rmtree(self.work, ignore_errors=True)

    def run(self, started: float) -> CorpusReport:
        """All stages, in order."""
        self._extract()
        self._remove_copies()
        if self.settings.near_duplicates:
            self._remove_near()
        self.kept = ~self.removed
        if self.settings.edits:
            self._edit()
        split = self._split()
        self._pack(split)
        return self._write(split, started)

    # -- stages --------------------------------------------------------------------------------------------------

    def _run(self, label: str, function: Callable[[Any], Any], tasks: Sequence[Any]) -> None:
        with progress(label, total=len(tasks), unit="tasks") as bar:
            for _ in self._workers().run(function, tasks):
                bar.advance(1)

    def _workers(self) -> Executor:
        if self._executor is None:
            small = sum(part.n_bytes for part in self.parts) <= _SMALL_BYTES
            n_workers = self._n_workers or (1 if small else len(os.sched_getaffinity(0)))
            self._executor = Processes(n_workers) if n_workers != 1 else Here()
        return self._executor

    def _extract(self) -> None:
        tasks = [ExtractTask(self.work, part, self._settings_of(part), self._load_scorer) for part in self.parts]
        n_bytes = sum(part.n_bytes for part in self.parts)
        began, n_documents = time.monotonic(), 0
        with progress("read and clean", total=n_bytes / 1e6, unit="MB") as bar:
            for part in self._workers().run(extract, tasks):
                n_documents += read_json(task_folder(self.work, "extract", part.number) / "counts.json")[
                    "documents_read"
                ]
                rate = n_documents / max(time.monotonic() - began, 1e-9)
                bar.advance(part.n_bytes / 1e6, documents=n_documents, per_s=round(rate))
        folders = [task_folder(self.work, "extract", part.number) for part in self.parts]
        self.counts = [read_json(folder / "counts.json") for folder in folders]
        self.members = [read_json(folder / "members.json") for folder in folders]
        if not sum(counts["documents_read"] for counts in self.counts):
            raise self._nothing()
        self.bases = self.kept_bases = _bases_of(self.members)

    def _settings_of(self, part: Part) -> CorpusSettings:
        return self.settings.model_copy(update=self.sources[part.source].reading())

    def _parts_of(self, stage: str, file: str, name: str) -> list[np.ndarray]:
        """An array that a stage left for each part."""
        paths = [task_folder(self.work, stage, part.number) / f"{file}.safetensors" for part in self.parts]
        return [load_arrays(path, name)[0] for path in paths]

    def _arrays(self, name: str, stage: str = "extract") -> np.ndarray:
        """An array of all documents."""
        return np.concatenate(self._parts_of(stage, "arrays", name))

    def _remove_copies(self) -> None:
        self.copies = find_copies(self._arrays("keys"))
        self.removed = self.copies.copy()
        self._share("exact", "copies", self.copies)

    def _share(self, stage: str, name: str, array: np.ndarray, bases: tuple[int, ...] | None = None) -> None:
        """Write an array over all documents part by part, for tasks to read."""
        self._share_parts(stage, name, np.split(array, (bases or self.bases)[1:-1]))

    def _share_parts(self, stage: str, name: str, arrays: Sequence[np.ndarray]) -> None:
        for part, own in zip(self.parts, arrays, strict=True):
            with new_folder(task_folder(self.work, stage, part.number)) as folder:
                save_arrays(folder / f"{name}.safetensors", **{name: own})

    def _remove_near(self) -> None:
        n_signed = len(self._arrays("signed"))
        n_buckets = 1 + n_signed // _BAND_DOCUMENTS
        step = N_BANDS if n_signed < 100_000 else N_BANDS // 4
        places = [(first, bucket) for bucket in range(n_buckets) for first in range(0, N_BANDS, step)]
        tasks = [
            BandTask(self.work, number, first, first + step, bucket, n_buckets, self.bases)
            for number, (first, bucket) in enumerate(places)
        ]
        self._run("look for near-duplicates", find_links, tasks)
        links = [
            load_arrays(task_folder(self.work, "links", n) / "links.safetensors", "links")[0] for n in range(len(tasks))
        ]
        components = find_components(np.unique(np.concatenate(links), axis=0))
        starts = np.concatenate([[0], np.cumsum([len(component) for component in components])]).astype(np.int64)
        with new_folder(task_folder(self.work, "components", 0)) as folder:
            members = np.concatenate([np.zeros(0, dtype=np.int64), *components])
            save_arrays(folder / "components.safetensors", members=members, starts=starts)
        # the first component whose end reaches each multiple of the load of a task ends that task
        ends = np.unique(
            np.searchsorted(starts, np.arange(_JUDGED_AT_ONCE, starts[-1] + _JUDGED_AT_ONCE, _JUDGED_AT_ONCE))
        )
        ends = np.minimum(ends, len(components)).tolist()
        judges = [
            JudgeTask(self.work, number, first, end, self.bases, self.settings.near_duplicate_threshold)
            for number, (first, end) in enumerate(zip([0, *ends], ends, strict=False))
        ]
        self._run("compare near-duplicates", judge_components, judges)
        self.near = removed_by(self.work, len(judges))
        self.removed[self.near[:, 0]] = True

    def _edit(self) -> None:
        """Take out of the documents what stood earlier, and evaluation texts."""
        settings = self.settings
        self._share("removed", "removed", self.removed)
        tasks = [EditTask(self.work, part.number, settings) for part in self.parts]
        if settings.evaluation_texts and not (self.work / "evaluation").is_dir():
            with progress("index evaluation texts", unit=""):
                build_index({Path(path).name: path for path in settings.evaluation_texts}).save(
                    self.work / "evaluation"
                )
        self._run("compare paragraphs and stretches", find_keys, tasks)
        if settings.duplicate_paragraphs:
            self._mark("paragraphs", later_occurrences, self._parts_of("keys", "keys", "paragraphs"))
        if settings.duplicate_stretches:
            self._mark("fingerprints", repeated, self._parts_of("keys", "keys", "fingerprints"))
            self._run("look at repeated stretches", find_stretches, tasks)
            self._mark("repeats", later_occurrences, self._parts_of("stretches", "keys", "stretches"))
        if settings.evaluation_texts:
            counts = np.sum(self._parts_of("keys", "keys", "counts"), axis=0)
            save_arrays(self.work / "evaluation-common.safetensors", common=counts > MAX_DOCUMENTS)
        self._run("take out what stood earlier", edit, tasks)
        folders = [task_folder(self.work, "edited", part.number) for part in self.parts]
        self.edits = [read_json(folder / "counts.json") for folder in folders]
        self.members = [read_json(folder / "members.json") for folder in folders]
        self.stage, self.kept_bases = "edited", _bases_of(self.members)
        self.kept = ~find_copies(self._arrays("keys", "edited"))

    def _mark(self, stage: str, rule: Callable[[np.ndarray], np.ndarray], keys: list[np.ndarray]) -> None:
        n_buckets = 1 + sum(map(len, keys)) // _BUCKET_KEYS
        self._share_parts(stage, "marks", over_parts(rule, keys, n_buckets))

    def _split(self) -> Split:
        """Split what was kept, after checking that it is enough."""
        sizes, keys = self._arrays("sizes", self.stage), self._arrays("keys", self.stage)
        kept = np.flatnonzero(self.kept)
        n_chars = int(sizes[kept, 0].sum())
        if n_chars < self.settings.min_chars:
            raise DataError(
                f"{n_chars:,} characters in {len(kept):,} documents are left after cleaning, fewer than "
                f"{self.settings.min_chars:,} (min_chars): too small a corpus to train on{self._losses()}",
                where=self.name,
                remedy="Give more text, or lower min_chars.",
            )
        groups = [group for members in self.members for group in members["groups"]]
        pieces = [piece for members in self.members for piece in members["pieces"]]
        chosen = [
            Member(groups[number], pieces[number], int(sizes[number, 0]), keys[number].tobytes())
            for number in kept.tolist()
        ]
        return split_groups(chosen, share=self.settings.heldout_share, seed=self.settings.seed)

    def _pack(self, split: Split) -> None:
        sides = np.full(len(self.kept), 2, dtype=np.uint8)
        sides[self.kept] = split.heldout
        self._share("split", "sides", sides, self.kept_bases)
        tasks = [PackTask(self.work, part.number, self.stage, self.sources[part.source].name) for part in self.parts]
        self._run("write the corpus", pack, tasks)

    # -- result --------------------------------------------------------------------------------------------------

    def _write(self, split: Split, started: float) -> CorpusReport:
        paths = [self.out / f"{side}.jsonl.gz" for side in SIDES]

        def join(side: int, target: Path) -> None:
            with open(target, "wb") as file:
                for part in self.parts:
                    with open(task_folder(self.work, "pack", part.number) / f"{SIDES[side]}.gz", "rb") as piece:
                        shutil.copyfileobj(piece, file, 2**20)

        def join_both(target: Path) -> None:
            join(0, target)
            # Nested, so that neither file is put in place before both are whole on disk.
            write_atomic(paths[1], lambda path: join(1, path))

        try:
            (self.out / "corpus.json").unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, self.out) from error
        write_atomic(paths[0], join_both)
        report = self._report(split, paths, started)
        write_json(self.out / "corpus.json", report.to_json())
        return report

    def _report(self, split: Split, paths: list[Path], started: float) -> CorpusReport:
        packed = [read_json(task_folder(self.work, "pack", part.number) / "counts.json") for part in self.parts]
        sizes = self._arrays("sizes")
        near = self.removed & ~self.copies
        removed_characters = self._sum("dropped_characters") + _sum(self.edits, "dropped_characters")
        for reason, mask in (("exact duplicate", self.copies), ("near-duplicate", near)):
            if mask.any():
                removed_characters[reason] += int(sizes[mask, 0].sum())
        n_late = int((~self.kept).sum()) if self.settings.edits else 0
        if n_late:
            late = self._arrays("sizes", self.stage)[~self.kept, 0].sum()
            removed_characters["exact duplicate"] += int(late)
        counted: dict[str, Counter[str]] = {}
        lengths: dict[str, Counter[str]] = {}
        samples = Samples(N_SAMPLES)
        for counts in packed:
            samples.merge(counts["samples"])
            for name, found in counts["counted"].items():
                counted.setdefault(name, Counter()).update(found)
            for lang, found in counts["lengths"].items():
                lengths.setdefault(lang, Counter()).update(found)
        files_read = sum(counts["files_read"] for counts in self.counts)
        files_skipped = self._files_skipped()
        return CorpusReport(
            source=self.name,
            sources=[self._source(number) for number in range(len(self.sources))],
            files_found=files_read + files_skipped.total(),
            files_read=files_read,
            files_skipped=dict(files_skipped.most_common()),
            rows_skipped=dict(self._sum("rows_skipped").most_common()),
            documents_read=sum(counts["documents_read"] for counts in self.counts),
            characters_read=sum(counts["characters_read"] for counts in self.counts),
            dropped=dict((self._sum("dropped") + _sum(self.edits, "dropped")).most_common()),
            removed_characters=dict(removed_characters.most_common()),
            exact_duplicates=int(self.copies.sum()) + n_late,
            near_duplicates=len(self.near),
            documents_kept=int(self.kept.sum()),
            mojibake_lines=counted.get("mojibake_lines", Counter()).total(),
            redacted=dict(counted.get("redacted", Counter()).most_common()),
            removed_lines=dict(counted.get("removed_lines", Counter()).most_common()),
            edits=dict(_sum(self.edits, "edits").most_common()),
            edited_characters=dict(_sum(self.edits, "edited_characters").most_common()),
            evaluation_texts=dict(_sum(self.edits, "sets").most_common()),
            encodings=dict(self._sum("encodings").most_common()),
            listed=self._listed(),
            examples=_examples(self._examples()),
            samples=_examples(samples),
            lengths={
                lang: dict(sorted(found.items(), key=lambda item: int(item[0])))
                for lang, found in sorted(lengths.items())
            },
            split_by=split.by,
            train=_side(0, paths[0], packed),
            heldout=_side(1, paths[1], packed),
            settings=self.settings,
            seconds=round(time.monotonic() - started, 3),
        )

    def _source(self, number: int) -> SourceReport:
        source = self.sources[number]
        own = [part for part in self.parts if part.source == number]
        first, end = (self.kept_bases[own[0].number], self.kept_bases[own[-1].number + 1]) if own else (0, 0)
        kept, sizes = self.kept[first:end], self._arrays("sizes", self.stage)[first:end, 0]
        hashes = {name: digest for part in own for name, digest in self.counts[part.number]["hashes"].items()}
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
        return SourceReport(
            name=source.name,
            path=source.path,
            licence=source.licence,
            note=source.note,
            files=sum(self.counts[part.number]["files_read"] for part in own),
            bytes=sum(part.n_bytes for part in own),
            sha256=hashlib.sha256(lines.encode("utf-8", "replace")).hexdigest(),
            documents_read=sum(self.counts[part.number]["documents_read"] for part in own),
            documents_kept=int(kept.sum()),
            characters_kept=int(sizes[kept].sum()),
        )

    def _sum(self, name: str) -> Counter[str]:
        return _sum(self.counts, name)

    def _files_skipped(self) -> Counter[str]:
        return Counter(item.reason for item in self.skipped) + self._sum("files_skipped")

    def _listed(self) -> list[Listed]:
        listed = [(item.source, item.reason) for item in self.skipped[:MAX_LISTED]]
        listed += [(source, reason) for counts in [*self.counts, *self.edits] for source, reason in counts["listed"]]
        texts = Texts(self.work, self.bases)
        room = max(MAX_LISTED - len(listed), 0)
        listed += [(texts[number].id, "exact duplicate") for number in np.flatnonzero(self.copies)[:room].tolist()]
        room = max(MAX_LISTED - len(listed), 0)
        listed += [(texts[copy].id, f"near-duplicate of {texts[kept].id}") for copy, kept in self.near[:room].tolist()]
        return [Listed(source=source, reason=reason) for source, reason in listed[:MAX_LISTED]]

    def _examples(self) -> Samples:
        examples, texts, keys = Samples(N_EXAMPLES), Texts(self.work, self.bases), self._arrays("keys")
        for counts in [*self.counts, *self.edits]:
            examples.merge(counts["examples"])
        for number in np.flatnonzero(self.copies).tolist():
            rank = rank_of(hashlib.sha256(str(number).encode()).digest())
            examples.offer("exact duplicate", rank, lambda number=number: texts[number])
        for copy, kept in self.near.tolist():
            rank = rank_of(keys[copy].tobytes())
            examples.offer("near-duplicate", rank, lambda copy=copy: texts[copy], note=texts[kept].id)
        return examples

    def _nothing(self) -> DataError:
        """The error for sources with no document in them."""
        skipped = self._files_skipped() + self._sum("rows_skipped")
        found = "everything was skipped" if skipped else "it is empty"
        return DataError(
            f"no documents found: {found}{self._losses()}",
            where=self.name,
            remedy=f"Give a folder or file of these kinds: {known_kinds()}. Rows need text_key.",
        )

    def _losses(self) -> str:
        counts = self._files_skipped() + self._sum("rows_skipped") + self._sum("dropped")
        counts += Counter({"exact duplicate": int(self.copies.sum()), "near-duplicate": len(self.near)})
        return "".join(f"; {count:,} × {reason}" for reason, count in counts.most_common(5))


def _bases_of(members: list[dict[str, Any]]) -> tuple[int, ...]:
    """Number of the first document of each part, and behind them how many there are."""
    return tuple(np.concatenate([[0], np.cumsum([len(part["groups"]) for part in members])]).astype(int).tolist())


def _sum(parts: list[dict[str, Any]], name: str) -> Counter[str]:
    return sum((Counter(counts[name]) for counts in parts), Counter())


def _state_of(file: SourceFile) -> tuple[int, int]:
    """Size and time of a file, by which a change is seen."""
    try:
        status = file.path.stat()
    except OSError:
        return file_size(file), 0
    return status.st_size, status.st_mtime_ns


def _examples(samples: Samples) -> dict[str, list[Example]]:
    shown = samples.to_json(ranks=False)
    return {name: [Example.model_validate(row) for row in rows] for name, rows in shown.items()}


def _side(number: int, path: Path, packed: list[dict[str, Any]]) -> SideReport:
    languages: dict[str, Counter[str]] = {}
    for counts in packed:
        for lang, row in counts["languages"][number].items():
            languages.setdefault(lang, Counter()).update(row)
    return SideReport(
        documents=sum(row["documents"] for row in languages.values()),
        characters=sum(row["characters"] for row in languages.values()),
        bytes=sum(row["bytes"] for row in languages.values()),
        languages={lang: dict(row) for lang, row in sorted(languages.items())},
        file=path.name,
        sha256=sha256_file(path),
    )
