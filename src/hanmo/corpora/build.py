"""From sources to a corpus: read, repair, filter, remove duplicates, split, write.

The stages are tasks over parts of the sources, done by an executor; each leaves its result in a work folder beside the
corpus, so that a build which was stopped goes on. Parts, their order and every choice follow from the files and the
settings alone: the result is the same with any number of workers, and after any stop.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hanmo.core.errors import ConfigError, DataError, StorageError, storage_error
from hanmo.core.files import new_folder, read_json, write_atomic, write_json
from hanmo.core.progress import progress, say
from hanmo.corpora.dedup.contamination import MAX_DOCUMENTS
from hanmo.corpora.dedup.evaluation_index import build_index
from hanmo.corpora.dedup.exact import find_copies
from hanmo.corpora.dedup.first import later_occurrences, over_parts, repeated
from hanmo.corpora.dedup.near_task import find_links, judge_components, plan_bands, plan_judges, removed_by
from hanmo.corpora.edits import EditTask, edit, find_keys, find_stretches
from hanmo.corpora.executors import Executor, Here, Processes
from hanmo.corpora.extract import ExtractTask, LoadScorer, extract
from hanmo.corpora.outcome import Outcome
from hanmo.corpora.pack import SIDES, PackTask, pack
from hanmo.corpora.parts import Part
from hanmo.corpora.plan import evaluation_sets, fingerprint, plan_build
from hanmo.corpora.report import CorpusReport
from hanmo.corpora.settings import CorpusSettings, Source
from hanmo.corpora.splits import Member, Split, split_groups
from hanmo.corpora.summary import summarize
from hanmo.corpora.work import open_work, save_arrays, task_folder

__all__ = ["build_corpus"]

_WORK = ".work"
_SMALL_BYTES = 2 * 2**20
"""Sources up to this size are read by this process: starting others takes longer."""
_BUCKET_KEYS = 16_000_000
"""Keys of paragraphs or stretches that are compared at a time."""


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
        self.out, self.work, self.settings = out, out / _WORK, settings
        self.outcome = Outcome(self.work, sources, settings)
        self.is_begun = False
        self._n_workers, self._executor, self._owns_executor = n_workers, executor, executor is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """What is read together."""
        return self.outcome.parts

    def prepare(self) -> None:
        """List the files and open the work folder."""
        plan = self.outcome.plan = plan_build(self.outcome.sources, out=self.out)
        if not plan.parts:
            raise self.outcome.nothing()
        state = fingerprint(plan, self.outcome.sources, self.settings)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, self.out) from error
        if open_work(self.work, state):
            say(f"Going on from what is finished in {self.work}.")
        self.is_begun = True

    def close(self) -> None:
        """Let the workers go."""
        if self._owns_executor and self._executor is not None:
            self._executor.close()

    def clear(self) -> None:
        """Remove the work folder, if it is that of this build."""
        if self.is_begun:
            shutil.rmtree(self.work, ignore_errors=True)

    def run(self, started: float) -> CorpusReport:
        """All stages, in order."""
        self._extract()
        self._remove_copies()
        if self.settings.near_duplicates:
            self._remove_near()
        self.outcome.kept = ~self.outcome.removed
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
        outcome = self.outcome
        tasks = [ExtractTask(self.work, part, self._settings_of(part), self._load_scorer) for part in self.parts]
        n_bytes = sum(part.n_bytes for part in self.parts)
        began, n_documents = time.monotonic(), 0
        with progress("read and clean", total=n_bytes / 1e6, unit="MB") as bar:
            for part in self._workers().run(extract, tasks):
                counts = read_json(task_folder(self.work, "extract", part.number) / "counts.json")
                n_documents += counts["documents_read"]
                rate = n_documents / max(time.monotonic() - began, 1e-9)
                bar.advance(part.n_bytes / 1e6, documents=n_documents, per_s=round(rate))
        outcome.counts, outcome.members, outcome.bases = outcome.read("extract")
        outcome.kept_bases = outcome.bases
        if not n_documents:
            raise outcome.nothing()

    def _settings_of(self, part: Part) -> CorpusSettings:
        return self.settings.model_copy(update=self.outcome.sources[part.source].reading())

    def _remove_copies(self) -> None:
        outcome = self.outcome
        outcome.copies = find_copies(outcome.arrays("keys"))
        outcome.removed = outcome.copies.copy()
        self._share("exact", "copies", outcome.copies, outcome.bases)

    def _share(self, stage: str, name: str, array: np.ndarray, bases: tuple[int, ...]) -> None:
        """Write an array over all documents part by part, for tasks to read."""
        self._share_parts(stage, name, np.split(array, bases[1:-1]))

    def _share_parts(self, stage: str, name: str, arrays: Sequence[np.ndarray]) -> None:
        for part, own in zip(self.parts, arrays, strict=True):
            with new_folder(task_folder(self.work, stage, part.number)) as folder:
                save_arrays(folder / f"{name}.safetensors", **{name: own})

    def _remove_near(self) -> None:
        outcome = self.outcome
        n_signed = sum(map(len, outcome.parts_of("extract", "arrays", "signed")))
        tasks = plan_bands(self.work, outcome.bases, n_signed)
        self._run("look for near-duplicates", find_links, tasks)
        judges = plan_judges(self.work, outcome.bases, len(tasks), self.settings.near_duplicate_threshold)
        self._run("compare near-duplicates", judge_components, judges)
        outcome.near = removed_by(self.work, len(judges))
        outcome.removed[outcome.near[:, 0]] = True

    def _edit(self) -> None:
        """Take out of the documents what stood earlier, and evaluation texts."""
        settings, outcome = self.settings, self.outcome
        self._share("removed", "removed", outcome.removed, outcome.bases)
        tasks = [EditTask(self.work, part.number, settings) for part in self.parts]
        if settings.evaluation_texts and not (self.work / "evaluation").is_dir():
            with progress("index evaluation texts", unit=""):
                build_index(evaluation_sets(settings.evaluation_texts)).save(self.work / "evaluation")
        self._run("compare paragraphs and stretches", find_keys, tasks)
        if settings.duplicate_paragraphs:
            self._mark("paragraphs", later_occurrences, outcome.parts_of("keys", "keys", "paragraphs"))
        if settings.duplicate_stretches:
            self._mark("fingerprints", repeated, outcome.parts_of("keys", "keys", "fingerprints"))
            self._run("look at repeated stretches", find_stretches, tasks)
            self._mark("repeats", later_occurrences, outcome.parts_of("stretches", "keys", "stretches"))
        if settings.evaluation_texts:
            counts = np.sum(outcome.parts_of("keys", "keys", "counts"), axis=0)
            save_arrays(self.work / "evaluation-common.safetensors", common=counts > MAX_DOCUMENTS)
        self._run("take out what stood earlier", edit, tasks)
        outcome.edits, outcome.members, outcome.kept_bases = outcome.read("edited")
        outcome.stage = "edited"
        outcome.kept = ~find_copies(outcome.arrays("keys", "edited"))

    def _mark(self, stage: str, rule: Callable[[np.ndarray], np.ndarray], keys: list[np.ndarray]) -> None:
        n_buckets = 1 + sum(map(len, keys)) // _BUCKET_KEYS
        self._share_parts(stage, "marks", over_parts(rule, keys, n_buckets))

    def _split(self) -> Split:
        """Split what was kept, after checking that it is enough."""
        outcome = self.outcome
        sizes, keys = outcome.arrays("sizes", outcome.stage), outcome.arrays("keys", outcome.stage)
        kept = np.flatnonzero(outcome.kept)
        n_chars = int(sizes[kept, 0].sum())
        if n_chars < self.settings.min_chars:
            raise DataError(
                f"{n_chars:,} characters in {len(kept):,} documents are left after cleaning, fewer than "
                f"{self.settings.min_chars:,} (min_chars): too small a corpus to train on{outcome.losses()}",
                where=outcome.name,
                remedy="Give more text, or lower min_chars.",
            )
        groups = [group for members in outcome.members for group in members["groups"]]
        pieces = [piece for members in outcome.members for piece in members["pieces"]]
        chosen = [
            Member(groups[number], pieces[number], int(sizes[number, 0]), keys[number].tobytes())
            for number in kept.tolist()
        ]
        return split_groups(chosen, share=self.settings.heldout_share, seed=self.settings.seed)

    def _pack(self, split: Split) -> None:
        outcome = self.outcome
        sides = np.full(len(outcome.kept), 2, dtype=np.uint8)
        sides[outcome.kept] = split.heldout
        self._share("split", "sides", sides, outcome.kept_bases)
        names = [outcome.sources[part.source].name for part in self.parts]
        tasks = [
            PackTask(self.work, part.number, outcome.stage, name) for part, name in zip(self.parts, names, strict=True)
        ]
        self._run("write the corpus", pack, tasks)

    def _write(self, split: Split, started: float) -> CorpusReport:
        """Join the parts, then say what they are."""
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
        seconds = round(time.monotonic() - started, 3)
        report = summarize(self.outcome, split_by=split.by, files=paths, seconds=seconds)
        write_json(self.out / "corpus.json", report.to_json())
        return report
