"""Train word vectors by any method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from hanmo.core.errors import ConfigError
from hanmo.core.progress import progress
from hanmo.core.settings import check_settings
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors.glove_settings import GloveSettings
from hanmo.vectors.learning import choose_threads
from hanmo.vectors.word2vec_settings import Word2VecSettings
from hanmo.vectors.word_vectors import WordVectors

if TYPE_CHECKING:
    from hanmo.tokenizers.word_blocks import Source

__all__ = ["Method", "check_training", "train"]

Method = Literal["skipgram", "cbow", "glove"]


def train(
    source: Source | WordIds,
    method: Method = "skipgram",
    *,
    lowercase: bool = False,
    start: WordVectors | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    **settings: Any,
) -> WordVectors:
    """Train word vectors on a text.

    Ctrl-C ends the training, and what was learnt so far is returned: `vectors.meta["finished"]` says so.

    Args:
        source: text files with a sentence a line and white space between words, or sentences: as `read_word_ids`
            takes them; or what it returned. Chinese is segmented first: `hanmo.text.segment.words_of_lines`.
        method: how.
        lowercase: read all words in lower case.
        start: vectors to start from.
        checkpoint: a folder for what is needed to go on.
        resume: go on with the training in `checkpoint`.
        settings: fields of `Word2VecSettings` or `GloveSettings`.

    Raises:
        ConfigError: for settings that cannot be.
        DataError: for a text that cannot be read, or is too short.
        FormatError: for what is not UTF-8 text.
        StorageError: if the disk is full.
    """
    chosen = check_training(method, settings)
    options: Any = {"start": start, "checkpoint": checkpoint, "resume": resume}
    text = _read(source, chosen.min_count, chosen.max_words, lowercase)
    if isinstance(chosen, GloveSettings):
        from hanmo.vectors.glove import train_glove

        return train_glove(text, chosen, **options)

    from hanmo.vectors.word2vec import train_word2vec

    return train_word2vec(text, chosen, **options)


def check_training(method: Method, settings: Mapping[str, Any]) -> GloveSettings | Word2VecSettings:
    """The settings of a training, checked before any work begins.

    Raises:
        ConfigError: for an unknown method, settings that cannot be, or more threads than cores.
    """
    if method not in get_args(Method):
        raise ConfigError(
            f"unknown method {method!r}", where="method", remedy=f"Known methods: {', '.join(get_args(Method))}."
        )
    chosen: GloveSettings | Word2VecSettings
    if method == "glove":
        chosen = check_settings(GloveSettings, settings)
    else:
        chosen = check_settings(Word2VecSettings, {"method": method, **settings})
    choose_threads(chosen.threads)
    return chosen


def _read(source: Source | WordIds, min_count: int, max_words: int | None, lowercase: bool) -> WordIds:
    if isinstance(source, WordIds):
        if lowercase:
            raise ConfigError("these words were read already: read them with lowercase=True", where="lowercase")
        return source.restrict(min_count=min_count, max_words=max_words)
    with progress("Read words", unit="words") as bar:
        return read_word_ids(source, min_count=min_count, max_words=max_words, lowercase=lowercase, progress=bar)
