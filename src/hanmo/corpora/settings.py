"""Settings of a corpus build."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings
from hanmo.corpora.pii.spans import Kind
from hanmo.corpora.quality.settings import QualitySettings

__all__ = ["CorpusSettings", "PerplexitySettings", "Source"]


class Source(Settings):
    """Something that documents come from. What is set here goes before the settings of the corpus."""

    path: str
    """A folder, a file, or "stdlib" for the standard library of the running Python."""
    name: str = ""
    """What its documents are called by: their ids begin with it."""
    licence: str = ""
    """Under which terms the texts may be used; stands in the data card."""
    note: str = ""
    """Where it comes from, and what else should stand in the data card."""
    only: tuple[str, ...] = ()
    """Patterns of file names (`*.txt`, `2024/*.jsonl`); other files are skipped."""
    text_key: str | None = None
    """As `CorpusSettings.text_key`."""
    lines: Literal["auto", "document", "file"] | None = None
    """As `CorpusSettings.lines`."""
    piece_chars: int | None = Field(default=None, ge=200)
    """As `CorpusSettings.piece_chars`."""
    normalize_tweets: bool | None = None
    """As `CorpusSettings.normalize_tweets`."""

    quality: QualitySettings | None = None
    """As `CorpusSettings.quality`: what suits a crawl drops every tweet."""

    def reading(self) -> dict[str, Any]:
        """The settings that are given here."""
        names = ("text_key", "lines", "piece_chars", "normalize_tweets", "quality")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class PerplexitySettings(Settings):
    """Which bits per character a document of one language may have under an n-gram model of good text."""

    model: str
    """Folder of the model, or its .arpa file."""
    low: float = Field(default=0.0, ge=0)
    """Fewest: what has fewer is repetition and boilerplate."""
    high: float = Field(gt=0)
    """Most: what has more is lists, broken text, another language. `hanmo corpus bounds` finds both from documents."""

    @field_validator("model")
    @classmethod
    def _model_exists(cls, model: str) -> str:
        return existing_path(model)


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
    """Longest time, in seconds of the processor, that reading one page (of HTML, of a dump, of a .pdf, of a chapter) may take; one that
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
    perplexity: dict[str, PerplexitySettings] = Field(default_factory=dict)
    """By language ("zh", "en"), a filter by an n-gram model (CCNet: Wenzek et al., 2020, §3.3)."""
    quality: QualitySettings = QualitySettings()
    """Rules that drop documents and take lines out; unless others are asked for, what is too short, mostly symbols,
    repetitive or encoded binary data goes."""
    near_duplicates: bool = True
    """Remove near-duplicates besides exact ones."""
    near_duplicate_threshold: float = Field(default=0.8, gt=0.5, le=1.0)
    """Jaccard similarity of shingle sets from which two documents are near-duplicates."""
    duplicate_paragraphs: bool = False
    """Take out paragraphs that stood earlier in the corpus: menus, notices, terms of use."""
    duplicate_stretches: bool = False
    """Take out long stretches of text that stood earlier in the corpus, wherever they begin."""
    evaluation_texts: tuple[str, ...] = ()
    """Files and folders of evaluation sets, of which nothing may stand in the corpus."""
    contaminated: Literal["drop", "cut"] = "drop"
    """What becomes of a document in which evaluation texts stand: it is dropped, or they are cut out with what stands around."""
    min_contaminated_share: float = Field(default=0.0, ge=0, le=1)
    """Least share of the n-grams of an evaluation text that have to be in a document."""
    heldout_share: float = Field(default=0.05, gt=0, lt=0.5)
    """Share of the characters that is held out, at least one group of documents."""
    seed: int = Field(default=0, ge=0)
    """Seed of the split."""
    min_chars: int = Field(default=20_000, ge=1)
    """Smallest corpus, in characters after cleaning, that is accepted."""

    @field_validator("evaluation_texts")
    @classmethod
    def _evaluation_texts_exist(cls, paths: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(existing_path(path) for path in paths)

    @property
    def edits(self) -> bool:
        """Whether documents are edited after duplicates of whole ones are removed."""
        return self.duplicate_paragraphs or self.duplicate_stretches or bool(self.evaluation_texts)
