"""From a folder of files, or the standard library, to a corpus: collect, repair, filter, deduplicate, split, write.

Documents pass one at a time; their texts wait in an unnamed temporary file on the disk of the output, so that
memory holds signatures and positions, not texts.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Literal, cast

from hanmo.core.errors import DataError, HanmoError, storage_error
from hanmo.core.files import sha256_file, write_atomic, write_json
from hanmo.core.progress import progress
from hanmo.corpora.cleaning import clean
from hanmo.corpora.dedup.near import NearDuplicates, exact_key
from hanmo.corpora.documents import Document, Skipped, document_line, open_gzip_writer
from hanmo.corpora.report import MAX_LISTED, CorpusReport, Listed, SideReport
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, known_kinds, list_files, read_file
from hanmo.corpora.sources.stdlib import list_stdlib, read_topics
from hanmo.corpora.splits import Member, Split, split_groups

__all__ = ["build_corpus"]


def build_corpus(
    source: str | Path | Literal["stdlib"], out: str | Path, settings: CorpusSettings | None = None
) -> CorpusReport:
    """Build `out/train.jsonl.gz`, `out/heldout.jsonl.gz` and `out/corpus.json`.

    The same input and settings give the same bytes in both .jsonl.gz files. `corpus.json` is removed first and
    written last: where it is, the files beside it are whole and belong to it.

    Args:
        source: a folder, a file, or "stdlib" for the running Python's standard library.
        out: folder of the corpus; made if missing; left out of the reading where it lies inside `source`.
        settings: limits, filters and split.

    Raises:
        DataError: if nothing can be read, or too little is left to train on; says what was skipped and why.
        StorageError: if the disk is full or may not be written.
    """
    started = time.monotonic()
    out, settings = Path(out), settings or CorpusSettings()
    is_stdlib = source == "stdlib"
    files, skipped = list_stdlib() if is_stdlib else list_files(source, exclude=out)
    build = _Build(str(source), settings)
    for item in skipped:
        build.skip_file(item)
    if not files:
        raise build.nothing()
    try:
        out.mkdir(parents=True, exist_ok=True)
        spool = cast("IO[bytes]", tempfile.TemporaryFile(dir=out))  # noqa: SIM115 - closed by the with below
    except OSError as error:
        raise storage_error(error, out) from error
    try:
        with spool:
            build.spool = _Spool(spool, out)
            build.collect(files, read_topics() if is_stdlib else ())
            split = build.split()
            return build.write(out, split, started)
    except HanmoError:
        raise
    except OSError as error:  # closing flushes what a full disk refused
        raise storage_error(error, out) from error


class _Spool:
    """Texts of kept documents, waiting on disk."""

    def __init__(self, file: IO[bytes], out: Path):
        self._file, self._out = file, out
        self._places: list[tuple[int, int]] = []  # (start, length) of each line, in bytes

    def append(self, document: Document) -> None:
        try:
            start = self._file.seek(0, 2)
            line = document_line(document)
            self._file.write(line)
        except OSError as error:
            raise storage_error(error, self._out) from error
        self._places.append((start, len(line)))

    def __getitem__(self, number: int) -> Document:
        start, length = self._places[number]
        self._file.seek(start)
        return Document(**json.loads(self._file.read(length)))

    def line(self, number: int) -> bytes:
        start, length = self._places[number]
        self._file.seek(start)
        return self._file.read(length)


class _Build:
    """The counts and the state of one build."""

    def __init__(self, source: str, settings: CorpusSettings):
        self.source, self.settings = source, settings
        self.spool: _Spool
        self.files_read = 0
        self.files_skipped: Counter[str] = Counter()
        self.rows_skipped: Counter[str] = Counter()
        self.documents_read = 0
        self.dropped: Counter[str] = Counter()
        self.exact = self.near = self.mojibake_lines = 0
        self.redacted: Counter[str] = Counter()
        self.encodings: Counter[str] = Counter()
        self.listed: list[Listed] = []
        self.members: list[Member] = []
        self.languages: list[tuple[str, int, int]] = []
        self._seen: set[bytes] = set()

    def list(self, source: str, reason: str) -> None:
        if len(self.listed) < MAX_LISTED:
            self.listed.append(Listed(source=source, reason=reason))

    def skip_file(self, item: Skipped) -> None:
        self.files_skipped[item.reason] += 1
        self.list(item.source, item.reason)

    def collect(self, files: list[SourceFile], more: Iterable[Document]) -> None:
        """Read, clean and deduplicate everything into the spool."""
        near = NearDuplicates(lambda number: self.spool[number].text, self.settings.near_duplicate_threshold)
        with progress("collect, clean, deduplicate", total=len(files), unit="files") as bar:
            for file in files:
                for document in self._read(file):
                    self._take(document, near)
                bar.advance(1, documents=len(self.members))
        for document in more:
            self._take(document, near)
        if not self.documents_read:
            raise self.nothing()

    def _read(self, file: SourceFile) -> Iterator[Document]:
        n_documents = n_rows = 0
        problem: Skipped | None = None
        for item in read_file(file, self.settings):
            if isinstance(item, Document):
                n_documents += 1
                yield item
            elif item.source == file.name:
                problem = item
            else:
                n_rows += 1
                self.rows_skipped[item.reason] += 1
                self.list(item.source, item.reason)
        if n_documents or n_rows:
            self.files_read += 1
            if problem is not None:
                self.rows_skipped[f"rest of the file: {problem.reason}"] += 1
                self.list(problem.source, problem.reason)
        else:
            self.skip_file(problem or Skipped(source=file.name, reason="nothing in it"))

    def _take(self, document: Document, near: NearDuplicates) -> None:
        self.documents_read += 1
        self.encodings[str(document.meta.get("encoding", "utf-8"))] += 1
        document, reason = clean(document, self.settings)
        if reason is not None:
            self.dropped[reason] += 1
            self.list(document.id, reason)
            return
        key = exact_key(document.text)
        if key in self._seen:
            self.exact += 1
            self.list(document.id, "exact duplicate")
            return
        self._seen.add(key)
        number = len(self.members)
        if self.settings.near_duplicates:
            found = near.find_or_keep(number, document.text)
            if found is not None:
                self.near += 1
                self.list(document.id, f"near-duplicate of {self.spool[found].id}")
                return
        piece = document.meta.get("piece")
        self.spool.append(document)
        self.members.append(Member(document.group, piece, len(document.text), key))
        self.languages.append((document.lang, len(document.text), len(document.text.encode("utf-8"))))
        self.mojibake_lines += document.meta.get("mojibake_lines", 0)
        self.redacted.update(document.meta.get("redacted", {}))

    def split(self) -> Split:
        """Split what was kept, after checking that it is enough."""
        n_chars = sum(member.n_chars for member in self.members)
        if n_chars < self.settings.min_chars:
            raise DataError(
                f"{n_chars:,} characters in {len(self.members):,} documents are left after cleaning, fewer than "
                f"{self.settings.min_chars:,} (min_chars): too small a corpus to train on{self._losses()}",
                where=self.source,
                remedy="Give more text, or lower min_chars.",
            )
        return split_groups(self.members, share=self.settings.heldout_share, seed=self.settings.seed)

    def nothing(self) -> DataError:
        """The error for a source with no document in it."""
        found = "it is empty" if not (self.files_skipped or self.rows_skipped) else "everything was skipped"
        return DataError(
            f"no documents found: {found}{self._losses()}",
            where=self.source,
            remedy=f"Give a folder or file of these kinds: {known_kinds()}. Rows need text_key.",
        )

    def _losses(self) -> str:
        counts = self.files_skipped + self.rows_skipped + self.dropped
        counts += Counter({"exact duplicate": self.exact, "near-duplicate": self.near})
        return "".join(f"; {count:,} × {reason}" for reason, count in counts.most_common(5))

    def write(self, out: Path, split: Split, started: float) -> CorpusReport:
        """Write both sides and the report."""
        train, heldout = out / "train.jsonl.gz", out / "heldout.jsonl.gz"

        def fill_train(temporary: Path) -> None:
            self._fill(temporary, split, heldout=False)
            # Nested, so that neither file is put in place before both are whole on disk.
            write_atomic(heldout, lambda path: self._fill(path, split, heldout=True))

        try:
            (out / "corpus.json").unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, out) from error
        write_atomic(train, fill_train)
        report = CorpusReport(
            source=self.source,
            files_found=self.files_read + self.files_skipped.total(),
            files_read=self.files_read,
            files_skipped=dict(self.files_skipped.most_common()),
            rows_skipped=dict(self.rows_skipped.most_common()),
            documents_read=self.documents_read,
            dropped=dict(self.dropped.most_common()),
            exact_duplicates=self.exact,
            near_duplicates=self.near,
            documents_kept=len(self.members),
            mojibake_lines=self.mojibake_lines,
            redacted=dict(self.redacted.most_common()),
            encodings=dict(self.encodings.most_common()),
            listed=self.listed,
            split_by=split.by,
            train=self._side(train, split, heldout=False),
            heldout=self._side(heldout, split, heldout=True),
            settings=self.settings,
            seconds=round(time.monotonic() - started, 3),
        )
        write_json(out / "corpus.json", report.to_json())
        return report

    def _fill(self, path: Path, split: Split, *, heldout: bool) -> None:
        numbers = [number for number, side in enumerate(split.heldout) if side == heldout]
        label = "write held-out text" if heldout else "write training text"
        with progress(label, total=len(numbers), unit="documents") as bar, open_gzip_writer(path) as file:
            for number in numbers:
                file.write(self.spool.line(number))
                bar.advance(1)

    def _side(self, path: Path, split: Split, *, heldout: bool) -> SideReport:
        languages: dict[str, dict[str, int]] = {}
        for (lang, n_chars, n_bytes), side in zip(self.languages, split.heldout, strict=True):
            if side == heldout:
                row = languages.setdefault(lang, {"documents": 0, "characters": 0, "bytes": 0})
                for key, value in (("documents", 1), ("characters", n_chars), ("bytes", n_bytes)):
                    row[key] += value
        return SideReport(
            documents=sum(row["documents"] for row in languages.values()),
            characters=sum(row["characters"] for row in languages.values()),
            bytes=sum(row["bytes"] for row in languages.values()),
            languages=dict(sorted(languages.items())),
            file=path.name,
            sha256=sha256_file(path),
        )
