"""The report of a finished build: counts that add up, things by name, documents to look at."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hanmo.core.files import read_json, sha256_file
from hanmo.corpora.extract import rank_of
from hanmo.corpora.outcome import Outcome
from hanmo.corpora.pack import N_SAMPLES
from hanmo.corpora.report import MAX_LISTED, N_EXAMPLES, CorpusReport, Example, Listed, SideReport, SourceReport
from hanmo.corpora.samples import Samples
from hanmo.corpora.work import Texts, task_folder

__all__ = ["summarize"]


def summarize(
    outcome: Outcome, *, split_by: Literal["group", "stretch"], files: Sequence[Path], seconds: float
) -> CorpusReport:
    """Sum up a build.

    Args:
        outcome: what all stages left.
        split_by: how the corpus was split.
        files: its training side and its held-out side.
        seconds: wall time of the build.
    """
    packed = [read_json(task_folder(outcome.work, "pack", part.number) / "counts.json") for part in outcome.parts]
    characters = outcome.arrays("sizes", outcome.stage)[:, 0]
    counted: dict[str, Counter[str]] = {}
    lengths: dict[str, Counter[str]] = {}
    samples = Samples(N_SAMPLES)
    for counts in packed:
        samples.merge(counts["samples"])
        for name, found in counts["counted"].items():
            counted.setdefault(name, Counter()).update(found)
        for lang, found in counts["lengths"].items():
            lengths.setdefault(lang, Counter()).update(found)
    files_read = sum(counts["files_read"] for counts in outcome.counts)
    n_late = int((~outcome.kept).sum()) if outcome.settings.edits else 0
    return CorpusReport(
        source=outcome.name,
        sources=[_source(outcome, number, characters) for number in range(len(outcome.sources))],
        files_found=files_read + outcome.files_skipped.total(),
        files_read=files_read,
        files_skipped=_by_count(outcome.files_skipped),
        rows_skipped=_by_count(outcome.sum("rows_skipped")),
        documents_read=sum(counts["documents_read"] for counts in outcome.counts),
        characters_read=sum(counts["characters_read"] for counts in outcome.counts),
        dropped=_by_count(outcome.sum("dropped")),
        removed_characters=_by_count(_removed_characters(outcome, characters)),
        exact_duplicates=int(outcome.copies.sum()) + n_late,
        near_duplicates=len(outcome.near),
        documents_kept=int(outcome.kept.sum()),
        mojibake_lines=counted.get("mojibake_lines", Counter()).total(),
        redacted=_by_count(counted.get("redacted", Counter())),
        removed_lines=_by_count(counted.get("removed_lines", Counter())),
        edits=_by_count(outcome.sum("edits")),
        edited_characters=_by_count(outcome.sum("edited_characters")),
        evaluation_texts=_by_count(outcome.sum("sets")),
        encodings=_by_count(outcome.sum("encodings")),
        listed=_listed(outcome),
        examples=_shown(_examples(outcome)),
        samples=_shown(samples),
        lengths={
            lang: dict(sorted(found.items(), key=lambda item: int(item[0]))) for lang, found in sorted(lengths.items())
        },
        split_by=split_by,
        train=_side(0, files[0], packed),
        heldout=_side(1, files[1], packed),
        settings=outcome.settings,
        seconds=seconds,
    )


def _removed_characters(outcome: Outcome, characters: np.ndarray) -> Counter[str]:
    """Characters of what was removed, by reason; `characters` of the documents as they are now, (K,), int64."""
    found = outcome.sum("dropped_characters")
    before = characters if outcome.stage == "extract" else outcome.arrays("sizes")[:, 0]
    near = outcome.removed & ~outcome.copies
    for reason, mask in (("exact duplicate", outcome.copies), ("near-duplicate", near)):
        if mask.any():
            found[reason] += int(before[mask].sum())
    if outcome.settings.edits and not outcome.kept.all():
        found["exact duplicate"] += int(characters[~outcome.kept].sum())
    return found


def _source(outcome: Outcome, number: int, characters: np.ndarray) -> SourceReport:
    source, bases = outcome.sources[number], outcome.kept_bases
    own = [part for part in outcome.parts if part.source == number]
    first, end = (bases[own[0].number], bases[own[-1].number + 1]) if own else (0, 0)
    kept = outcome.kept[first:end]
    hashes = {name: digest for part in own for name, digest in outcome.counts[part.number]["hashes"].items()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))
    return SourceReport(
        name=source.name,
        path=source.path,
        licence=source.licence,
        note=source.note,
        files=sum(outcome.counts[part.number]["files_read"] for part in own),
        bytes=sum(part.n_bytes for part in own),
        sha256=hashlib.sha256(lines.encode("utf-8", "replace")).hexdigest(),
        documents_read=sum(outcome.counts[part.number]["documents_read"] for part in own),
        documents_kept=int(kept.sum()),
        characters_kept=int(characters[first:end][kept].sum()),
    )


def _listed(outcome: Outcome) -> list[Listed]:
    listed = [(item.source, item.reason) for item in outcome.plan.skipped[:MAX_LISTED]]
    for counts in [*outcome.counts, *outcome.edits]:
        listed += [(source, reason) for source, reason in counts["listed"]]
    texts = Texts(outcome.work, outcome.bases)
    room = max(MAX_LISTED - len(listed), 0)
    listed += [(texts[number].id, "exact duplicate") for number in np.flatnonzero(outcome.copies)[:room].tolist()]
    room = max(MAX_LISTED - len(listed), 0)
    listed += [(texts[copy].id, f"near-duplicate of {texts[kept].id}") for copy, kept in outcome.near[:room].tolist()]
    return [Listed(source=source, reason=reason) for source, reason in listed[:MAX_LISTED]]


def _examples(outcome: Outcome) -> Samples:
    examples, texts, keys = Samples(N_EXAMPLES), Texts(outcome.work, outcome.bases), outcome.arrays("keys")
    for counts in [*outcome.counts, *outcome.edits]:
        examples.merge(counts["examples"])
    for number in np.flatnonzero(outcome.copies).tolist():
        rank = rank_of(hashlib.sha256(str(number).encode()).digest())
        examples.offer("exact duplicate", rank, lambda number=number: texts[number])
    for copy, kept in outcome.near.tolist():
        examples.offer(
            "near-duplicate", rank_of(keys[copy].tobytes()), lambda copy=copy: texts[copy],
            note_of=lambda kept=kept: texts[kept].id,
        )  # fmt: skip
    return examples


def _shown(samples: Samples) -> dict[str, list[Example]]:
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


def _by_count(counts: Counter[str]) -> dict[str, int]:
    return dict(counts.most_common())
