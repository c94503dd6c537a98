"""Documents become a tokenizer in a folder, with a record of the files that it has learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.files import check_replaceable, new_folder
from hanmo.core.progress import Bar, progress, say
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, list_files, read_file
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.characters import train_characters
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.training_data import hash_file
from hanmo.tokenizers.unigram import train_unigram
from hanmo.tokenizers.wordpiece import train_wordpiece
from hanmo.tokenizers.words import train_words

__all__ = ["KINDS", "TokenizerKind", "train_tokenizer"]

TokenizerKind = Literal["bpe", "wordpiece", "unigram", "word", "char"]

KINDS: dict[TokenizerKind, Callable[..., Tokenizer]] = {
    "bpe": train_bpe,
    "wordpiece": train_wordpiece,
    "unigram": train_unigram,
    "word": train_words,
    "char": train_characters,
}
"""Kind of tokenizer → what trains it on texts."""
_FOLDS_CASE = ("wordpiece", "word")
_SAMPLED = ("bpe", "wordpiece", "unigram")


def train_tokenizer(
    source: str | Path,
    out: str | Path,
    kind: TokenizerKind = "bpe",
    *,
    vocab_size: int = 8192,
    lowercase: bool | None = None,
    max_bytes: int | None = None,
    seed: int = 0,
    text_key: str = "text",
    overwrite: bool = False,
) -> Tokenizer:
    """Train a tokenizer on a file or folder and write its folder.

    Memory holds a sample of the text (`max_bytes`), or the counts of words or characters, whatever the size of the source.

    Args:
        source: a file or folder that `hanmo.corpora` reads.
        out: folder to write: tokenizer.json, tokenizer_config.json and training_data.json.
        kind: "bpe" (byte-level), "wordpiece", "unigram", "word" or "char".
        vocab_size: tokens, special ones included; too little text gives fewer.
        lowercase: for wordpiece and word, whether case counts for nothing; true if None.
        max_bytes: for bpe, wordpiece and unigram, bytes of the sample that is learnt from; their own default if None.
        seed: chooses the sample.
        text_key: where rows of JSON Lines and tables have their text.
        overwrite: replace a tokenizer that is at `out`.

    Raises:
        ConfigError: for settings that cannot be, or if there is something at `out`.
        DataError: if there is no text.
        StorageError: if the disk is full or may not be written.
    """
    source, out = Path(source), Path(out)
    _check(kind, lowercase, max_bytes)
    check_replaceable(out, "tokenizer.json")
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise ConfigError(
            "there is something here already", where=out, remedy="Pass --overwrite to replace it, or another --out."
        )
    files, skipped = list_files(source, exclude=out)
    settings: dict[str, int | bool] = {"seed": seed} if kind in _SAMPLED else {}
    if lowercase is not None:
        settings["lowercase"] = lowercase
    if max_bytes is not None:
        settings["max_bytes"] = max_bytes
    if skipped:
        say(f"{len(skipped):,} files were left out ({skipped[0].source}: {skipped[0].reason}).")
    if not files:
        raise DataError("there is no document here", where=source)
    read: list[SourceFile] = []
    with progress("Train tokenizer", unit="documents") as bar:
        texts = _texts(files, CorpusSettings(text_key=text_key), bar, read)
        tokenizer = KINDS[kind](texts, vocab_size, **settings)
    single = len(files) == 1 and files[0].path == source
    record = [hash_file(file.path, str(source) if single else file.name) for file in read]
    tokenizer = tokenizer.with_training_files(record)
    with new_folder(out) as folder:
        tokenizer.save(folder)
    return tokenizer


def _check(kind: str, lowercase: bool | None, max_bytes: int | None) -> None:
    if kind not in get_args(TokenizerKind):
        raise ConfigError(
            f"{kind!r} is no kind of tokenizer", where="kind", remedy=f"Choose one of {', '.join(KINDS)}."
        )
    if lowercase is not None and kind not in _FOLDS_CASE:
        raise ConfigError(f"a {kind} tokenizer keeps the case of its text", where="lowercase", remedy="Leave it out.")
    if max_bytes is not None and kind not in _SAMPLED:
        raise ConfigError(f"a {kind} tokenizer counts all of its text", where="max_bytes", remedy="Leave it out.")
    if max_bytes is not None and max_bytes < 1:
        raise ConfigError(f"{max_bytes} is no size of a sample", where="max_bytes")


def _texts(files: list[SourceFile], settings: CorpusSettings, bar: Bar, read: list[SourceFile]) -> Iterator[str]:
    """The texts of the files; those that gave one are noted in `read`."""
    n_skipped = n_bytes = 0
    for file in files:
        found = False
        for document in read_file(file, settings):
            if isinstance(document, Document):
                found = True
                n_bytes += len(document.text.encode("utf-8", "replace"))
                yield document.text
                bar.advance(1, MB=f"{n_bytes / 1e6:,.1f}")
            else:
                n_skipped += 1
                say(f"{document.source}: left out ({document.reason})")
        if found:
            read.append(file)
    if n_skipped:
        say(f"{n_skipped:,} files or rows were left out.")
