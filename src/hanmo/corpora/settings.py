"""Settings of a corpus build."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.corpora.pii.spans import Kind

__all__ = ["CorpusSettings"]


class CorpusSettings(Settings):
    """How documents are read, cleaned, deduplicated and split."""

    text_key: str = "text"
    """Key of the text in .jsonl rows; also the column of .csv, .tsv and .parquet files where it has this name."""
    lines: Literal["auto", "document", "file"] = "auto"
    """What a .txt file is: one document per line, one document, or told by the look of its lines."""
    piece_chars: int = Field(default=20_000, ge=200)
    """Length, in characters, of the pieces that a long .txt file (a book) is cut into, at blank lines."""
    max_document_chars: int = Field(default=1_000_000, ge=1_000)
    """Longest document, in characters; a longer one is cut at paragraph, line or sentence ends."""
    max_file_bytes: int = Field(default=512 * 2**20, ge=1)
    """Largest file that is read, in bytes; a larger one is skipped, with a reason. What a compressed file holds beyond
    is left out, with a reason. Dumps and web archives have no limit but that of their records."""
    max_record_bytes: int = Field(default=16 * 2**20, ge=1_000)
    """Largest page of a dump or record of a web archive, in bytes; a larger one is skipped, with a reason."""
    max_gzip_ratio: float = Field(default=200.0, gt=1)
    """Largest ratio of decompressed to compressed bytes (of any compression), once past the first megabyte; more is a
    bomb."""
    max_record_seconds: float = Field(default=2.0, gt=0)
    """Longest time, in seconds, that reading one page (of HTML, of a dump, of a .pdf, of a chapter) may take; one that
    takes longer is skipped, with a reason. Only what runs in the main thread of a process is broken off."""
    normalize_tweets: bool = False
    """Write user names as `@user` and links as `http` in rows of .jsonl, .csv, .tsv and .parquet."""
    repair_mojibake: bool = True
    """Turn back text that was decoded in a wrong encoding."""
    chinese_script: Literal["keep", "simplified", "traditional"] = "keep"
    """Script that Chinese documents are turned into; lines of Japanese in them stay as they are."""
    languages: tuple[str, ...] = ()
    """Languages of the documents that are kept, as `hanmo.text.language.identify_language` names them ("en", "fr",
    "zh-Hans"; "zh" is any Chinese, "code" program source, "und" too little to tell); empty for all."""
    redact: tuple[Kind, ...] | Literal["all"] = ()
    """Kinds of personal data that become placeholders, in all documents, code among them; none unless asked for."""
    quality_filters: bool = True
    """Drop documents that are too short, mostly symbols, repetitive or encoded binary data."""
    near_duplicates: bool = True
    """Remove near-duplicates besides exact ones."""
    near_duplicate_threshold: float = Field(default=0.8, gt=0.5, le=1.0)
    """Jaccard similarity of shingle sets from which two documents are near-duplicates."""
    heldout_share: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of the characters that is held out, at least one group of documents."""
    seed: int = Field(default=0, ge=0)
    """Seed of the split."""
    min_chars: int = Field(default=20_000, ge=1)
    """Smallest corpus, in characters after cleaning, that is accepted."""
