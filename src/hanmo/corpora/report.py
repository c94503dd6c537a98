"""What happened in a corpus build, in numbers that add up."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.corpora.settings import CorpusSettings

__all__ = ["MAX_LISTED", "CorpusReport", "Listed", "SideReport"]

MAX_LISTED = 1000
"""How many skipped or dropped things are listed by name; all are counted."""


class Listed(Settings):
    """Something that did not reach the corpus, by name."""

    source: str
    """File, `file:line` or document id."""
    reason: str
    """Why."""


class SideReport(Settings):
    """One side of the split."""

    documents: int = 0
    """Documents."""
    characters: int = 0
    """Unicode characters of their texts."""
    bytes: int = 0
    """UTF-8 bytes of their texts."""
    languages: dict[str, dict[str, int]] = Field(default_factory=dict)
    """`documents`, `characters` and `bytes` by language."""
    file: str = ""
    """Name of the file."""
    sha256: str = ""
    """SHA-256 of the file."""


class CorpusReport(Settings):
    """Counts of a corpus build; `corpus.json` holds it.

    files_found = files_read + files_skipped, and
    documents_read = documents_kept + dropped + exact_duplicates + near_duplicates.
    """

    source: str
    """What was read: a path, or "stdlib"."""
    files_found: int
    """Files met, of any kind."""
    files_read: int
    """Files that gave at least one document or row."""
    files_skipped: dict[str, int]
    """Files not read, by reason."""
    rows_skipped: dict[str, int]
    """Rows of .jsonl and .csv files (or lines) not read, by reason."""
    documents_read: int
    """Documents found in the files that were read."""
    dropped: dict[str, int]
    """Documents dropped by the filters, by reason."""
    exact_duplicates: int
    """Documents whose folded text was there already."""
    near_duplicates: int
    """Documents near one that was kept."""
    documents_kept: int
    """Documents in the corpus, both sides."""
    mojibake_lines: int
    """Lines of kept documents whose encoding was repaired."""
    redacted: dict[str, int] = Field(default_factory=dict)
    """Spans of personal data that were replaced in kept documents, by kind."""
    encodings: dict[str, int]
    """Documents read, by the encoding of their file."""
    listed: list[Listed]
    """The first of what was skipped, dropped or removed, by name."""
    split_by: Literal["group", "stretch"]
    """Whether files stayed whole in the split, or long ones were split into contiguous stretches."""
    train: SideReport
    """The training side."""
    heldout: SideReport
    """The held-out side."""
    settings: CorpusSettings
    """The settings."""
    seconds: float
    """Wall time of the build, in seconds; the only value here that two builds do not share."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `corpus.json`."""
        return self.model_dump(mode="json")
