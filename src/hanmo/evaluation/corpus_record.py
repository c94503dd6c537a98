"""What the report takes from corpus.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from hanmo.core.errors import FormatError

__all__ = ["Amount", "CorpusRecord", "corpus_record"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Amount(_Record):
    """How much text."""

    documents: int | None = None
    characters: int | None = None
    bytes: int | None = None
    """UTF-8."""
    sha256: str | None = None
    """Of the split's file."""


class SkippedItem(_Record):
    """Something that was found but not used."""

    source: str = ""
    reason: str = ""


class CorpusRecord(_Record):
    """corpus.json, in the words of the report."""

    source: str | None = None
    read: int | None = None
    """Documents read, before any was dropped."""
    exact_duplicates: int | None = None
    near_duplicates: int | None = None
    skipped: int | None = None
    reasons: dict[str, int] = {}
    """Why, and how often."""
    listed: list[SkippedItem] = []
    splits: dict[str, Amount] = {}
    """"train" and "heldout"."""
    languages: dict[str, Amount] = {}


def corpus_record(value: Any, where: object) -> CorpusRecord:
    """Read a parsed corpus.json.

    Raises:
        FormatError: for a value of the wrong type, with its key.
    """
    try:
        return CorpusRecord.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise FormatError(f"{key + ': ' if key else ''}{problem['msg']}", where=where) from error
