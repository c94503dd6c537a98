"""What the report takes from corpus.json.

The keys are those of `hanmo.corpora.report.CorpusReport`, each optional here: a page on an old run must open too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict

__all__ = ["CorpusRecord", "Dropped", "LanguageAmount", "Shown", "Side", "SourceRecord"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class LanguageAmount(_Record):
    """How much text of one language."""

    documents: int = 0
    characters: int = 0
    bytes: int = 0
    """UTF-8."""


class Side(_Record):
    """One side of the split."""

    documents: int | None = None
    characters: int | None = None
    bytes: int | None = None
    """UTF-8."""
    languages: dict[str, LanguageAmount] = {}
    sha256: str | None = None
    """Of the side's file."""


class Dropped(_Record):
    """Something that did not reach the corpus, by name."""

    source: str = ""
    reason: str = ""


class Shown(_Record):
    """A document to look at."""

    id: str = ""
    text: str = ""
    """Its beginning."""
    characters: int = 0
    """Of the whole text."""
    note: str = ""


class SourceRecord(_Record):
    """What came of one source."""

    name: str = ""
    path: str = ""
    licence: str = ""
    note: str = ""
    files: int = 0
    bytes: int = 0
    """As stored."""
    sha256: str = ""
    documents_read: int = 0
    documents_kept: int = 0
    characters_kept: int = 0


class CorpusRecord(_Record):
    """corpus.json."""

    source: str | None = None
    files_found: int | None = None
    files_read: int | None = None
    files_skipped: dict[str, int] = {}
    rows_skipped: dict[str, int] = {}
    documents_read: int | None = None
    dropped: dict[str, int] = {}
    exact_duplicates: int | None = None
    near_duplicates: int | None = None
    mojibake_lines: int | None = None
    redacted: dict[str, int] = {}
    encodings: dict[str, int] = {}
    listed: list[Dropped] = []
    sources: list[SourceRecord] = []
    characters_read: int | None = None
    removed_characters: dict[str, int] = {}
    removed_lines: dict[str, int] = {}
    edits: dict[str, int] = {}
    edited_characters: dict[str, int] = {}
    evaluation_texts: dict[str, int] = {}
    documents_kept: int | None = None
    examples: dict[str, list[Shown]] = {}
    samples: dict[str, list[Shown]] = {}
    lengths: dict[str, dict[int, int]] = {}
    """By language, how many documents have fewer characters than a power of two, and no fewer than the one before."""
    settings: dict[str, Any] = {}
    seconds: float | None = None
    split_by: str | None = None
    """Either "group": files stayed whole, or "stretch": long files were split into contiguous stretches."""
    train: Side | None = None
    heldout: Side | None = None

    def sides(self) -> dict[str, Side]:
        """The sides there are, by name."""
        return {name: side for name, side in (("train", self.train), ("heldout", self.heldout)) if side is not None}

    def languages(self) -> dict[str, LanguageAmount]:
        """Amounts of both sides together by language, the largest first."""
        sums: dict[str, Counter[str]] = {}
        for side in self.sides().values():
            for code, amount in side.languages.items():
                sums.setdefault(code, Counter()).update(amount.model_dump())
        ordered = sorted(sums.items(), key=lambda item: (-item[1]["bytes"], item[0]))
        return {code: LanguageAmount.model_validate(amounts) for code, amounts in ordered}
