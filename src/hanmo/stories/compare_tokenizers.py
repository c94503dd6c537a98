"""Tokenizers side by side on the same text: how short they make it, what they do not know, how fast they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.progress import progress, say
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file
from hanmo.evaluation.tokenizer_figures import Comparison, LanguageFigures, TokenizerFigures
from hanmo.text.language import guess_language
from hanmo.tokenizers.cutting import cut_texts
from hanmo.tokenizers.opening import open_tokenizer
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.training_data import refuse_training_text
from hanmo.tokenizers.vocabulary_texts import tokenizer_kind, vocabulary_texts

__all__ = ["compare_tokenizers"]

_MOST_CHARACTERS = 5_000_000
"""Of a file or folder, what is measured at most; the rest is said to be left out."""
_SHOWN_CHARACTERS = 600
_BATCH = 256
_ROUNDS = 3


def compare_tokenizers(
    names: Sequence[str | Path], *, text: str | None = None, source: str | Path | None = None
) -> Comparison:
    """Measure tokenizers on a text, or on a file or folder of documents.

    A document is measured line by line, each under its own language, so a bilingual file counts for both.

    Args:
        names: what `open_tokenizer` reads.
        text: a text.
        source: or a file or folder that `hanmo.corpora` reads; of more than 5 million characters the first.

    Raises:
        ConfigError: if not exactly one of `text` and `source` is given, or there is no tokenizer.
        DataError: if there is no text, or a tokenizer was trained on a file of the source.
        ModelError: if a tokenizer cannot be read.
    """
    if (text is None) == (source is None):
        raise ConfigError("give either a text or a file to compare on", where="--text or --file")
    if not names:
        raise ConfigError("there is no tokenizer to measure")
    tokenizers = [open_tokenizer(name) for name in names]
    if source is not None:
        files = [file.path for file in list_files(source)[0]]
        for name, tokenizer in zip(names, tokenizers, strict=True):
            refuse_training_text(tokenizer.training_files, files, tokenizer=name)
    lines = list(_lines([text] if text is not None else _documents(Path(source or ""))))
    if not any(line.strip() for line in lines):
        raise DataError("there is no text to compare on", where=source or "--text")
    by_language: dict[str, list[str]] = {}
    for line in lines:
        by_language.setdefault(guess_language(line) if line.strip() else "und", []).append(line)
    ranked = sorted(by_language.items(), key=lambda item: -sum(map(len, item[1])))
    shown = "".join(lines)[:_SHOWN_CHARACTERS] if source is not None else text or ""
    found = []
    with progress("Compare", total=len(tokenizers), unit="tokenizers") as bar:
        for name, tokenizer in zip(names, tokenizers, strict=True):
            found.append(
                TokenizerFigures(
                    name=str(name), kind=tokenizer_kind(tokenizer), vocab_size=tokenizer.vocab_size,
                    sha256=tokenizer.sha256,
                    languages={lang: _measure(tokenizer, held) for lang, held in ranked},
                    tokens_per_s=_speed(tokenizer, lines), shown=cut_texts(tokenizer, [shown])[0],
                )
            )  # fmt: skip
            bar.advance(1)
    vocabularies = [vocabulary_texts(tokenizer) for tokenizer in tokenizers]
    overlap = [[len(one & other) / max(1, len(one)) for other in vocabularies] for one in vocabularies]
    return Comparison(tokenizers=found, overlap=overlap, text=shown)


def _documents(source: Path) -> Iterator[str]:
    files, _ = list_files(source)
    held = 0
    for file in files:
        for document in read_file(file, CorpusSettings()):
            if isinstance(document, Document):
                yield document.text[: _MOST_CHARACTERS - held]
                held += len(document.text)
                if held >= _MOST_CHARACTERS:
                    say(f"The first {_MOST_CHARACTERS:,} characters of {source} are measured.")
                    return
            else:
                say(f"{document.source}: left out ({document.reason})")


def _lines(texts: Sequence[str] | Iterator[str]) -> Iterator[str]:
    for text in texts:
        yield from text.splitlines(keepends=True)


def _measure(tokenizer: Tokenizer, texts: list[str]) -> LanguageFigures:
    n_tokens = unknown = lost = 0
    for start in range(0, len(texts), _BATCH):
        for pieces in cut_texts(tokenizer, texts[start : start + _BATCH]) if tokenizer.unk_id is not None else ():
            n_tokens += sum(piece.id is not None for piece in pieces)
            unknown += sum(piece.unknown for piece in pieces)
            lost += sum(len(piece.text) for piece in pieces if piece.unknown)
        if tokenizer.unk_id is None:
            n_tokens += sum(map(len, tokenizer.encode_batch(texts[start : start + _BATCH])))
    characters = sum(map(len, texts))
    return LanguageFigures(characters=characters, tokens=n_tokens, unknown=unknown, unknown_characters=lost)


def _speed(tokenizer: Tokenizer, texts: list[str]) -> float:
    """Tokens per second; a short text is repeated to a measurable length."""
    sample = texts * max(1, 20_000 // max(1, sum(map(len, texts))))
    rates = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        n_tokens = sum(map(len, tokenizer.encode_batch(sample)))
        rates.append(n_tokens / (time.perf_counter() - started))
    return sorted(rates)[_ROUNDS // 2]
