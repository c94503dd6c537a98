"""What happened in a corpus build, in numbers that add up."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.corpora.settings import CorpusSettings

__all__ = ["MAX_LISTED", "N_EXAMPLES", "CorpusReport", "Example", "Listed", "SideReport", "SourceReport"]

MAX_LISTED = 1000
"""How many skipped or dropped things are listed by name; all are counted."""
N_EXAMPLES = 5
"""How many documents are shown for each reason."""


class Listed(Settings):
    """Something that did not reach the corpus, by name."""

    source: str
    """File, `file:line` or document id."""
    reason: str
    """Why."""


class Example(Settings):
    """A document to look at."""

    id: str
    """Its id."""
    text: str
    """Its beginning."""
    characters: int
    """Length of the whole text."""
    note: str = ""
    """Which document it is near to, for a near-duplicate."""


class SourceReport(Settings):
    """What came of one source."""

    name: str
    """Its name in the recipe; "" for the only one."""
    path: str
    """What was read: a path, or "stdlib"."""
    licence: str = ""
    """What the recipe says about its licence."""
    note: str = ""
    """What else it says."""
    files: int = 0
    """Files that gave at least one document or row."""
    bytes: int = 0
    """Size of its files as they are stored."""
    sha256: str = ""
    """SHA-256 over the names and hashes of the files that were read, one `hash  name` line each."""
    documents_read: int = 0
    """Documents found in it."""
    documents_kept: int = 0
    """Of these in the corpus."""
    characters_kept: int = 0
    """Characters of those."""


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
    documents_read = documents_kept + dropped + exact_duplicates + near_duplicates, unless evaluation texts are cut out,
    which leaves several documents of one.
    """

    source: str
    """What was read: a path, or "stdlib"."""
    sources: list[SourceReport] = Field(default_factory=list)
    """What was read, one by one."""
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
    characters_read: int = 0
    """Characters of these, before cleaning."""
    dropped: dict[str, int]
    """Documents dropped by the filters, by reason."""
    removed_characters: dict[str, int] = Field(default_factory=dict)
    """Characters of the documents that were removed, by reason, duplicates among them."""
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
    removed_lines: dict[str, int] = Field(default_factory=dict)
    """Lines that were taken out of kept documents, by reason."""
    edits: dict[str, int] = Field(default_factory=dict)
    """Documents out of which something was taken: paragraphs or stretches that stood earlier, evaluation texts."""
    edited_characters: dict[str, int] = Field(default_factory=dict)
    """Characters that were taken out, by the same."""
    evaluation_texts: dict[str, int] = Field(default_factory=dict)
    """Documents in which texts of an evaluation set stood, by set."""
    encodings: dict[str, int]
    """Documents read, by the encoding of their file."""
    listed: list[Listed]
    """The first of what was skipped, dropped or removed, by name."""
    examples: dict[str, list[Example]] = Field(default_factory=dict)
    """By reason, some of the documents that were removed, chosen by a hash of their names."""
    samples: dict[str, list[Example]] = Field(default_factory=dict)
    """By source and language, some of those that were kept."""
    lengths: dict[str, dict[str, int]] = Field(default_factory=dict)
    """By language, how many kept documents have fewer characters than a power of two, and no fewer than the one before."""
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
