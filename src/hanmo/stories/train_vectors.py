"""A text becomes word vectors in a folder: words are cut, phrases joined, vectors trained and written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.core.progress import progress, say
from hanmo.stories.word_sentences import Segmentation, word_sentences
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors.checkpoints import check_checkpoint
from hanmo.vectors.files import check_out, read_vectors
from hanmo.vectors.phrases import find_phrases
from hanmo.vectors.training import Method, check_training, train
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["train_vectors"]

_SAID = 5
"""Phrases that are named."""


def train_vectors(
    source: str | Path,
    out: str | Path,
    method: Method = "skipgram",
    *,
    segmentation: Segmentation = "auto",
    lowercase: bool = False,
    phrases: int = 0,
    phrase_threshold: float = 100.0,
    start: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> WordVectors:
    """Train word vectors on a file or folder and write them.

    Ctrl-C while training writes what is learnt so far (`meta["finished"]` is false then); beside it, in OUT.checkpoint,
    is what `resume` needs to go on.

    Args:
        source: a text file of separated words or running text, or documents: see `word_sentences`.
        out: a folder for hanmo's own form, or a .txt, .vec or .bin file.
        method: "skipgram", "cbow" or "glove".
        segmentation: see `word_sentences`.
        lowercase: read all words in lower case.
        phrases: join pairs of words that stand together more often than by chance, in so many passes.
        phrase_threshold: how much more often (`find_phrases`).
        start: vectors to start from.
        resume: go on with an interrupted training, and replace what it left at `out`.
        overwrite: replace vectors that are at `out`, and an interrupted training beside them unless `resume` is given.
        settings: fields of `Word2VecSettings` or `GloveSettings`.

    Raises:
        ConfigError: for settings that cannot be, or if there is something at `out` or an interrupted training; always
            for a folder of something else.
        DataError: for a text that cannot be read, or is too short.
        FormatError: for what is not UTF-8 text, or a damaged checkpoint.
        StorageError: if the disk is full or may not be written.
        TrainingError: if what is learnt is no longer finite.
    """
    out = Path(out)
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    min_count = check_training(method, settings).min_count
    check_out(out)
    check_checkpoint(checkpoint)
    if resume and not checkpoint.is_dir():
        raise ConfigError("there is no interrupted training here to resume", where=checkpoint)
    if out.exists() and not (overwrite or resume):
        raise ConfigError(
            "there is something here already", where=out, remedy="Pass --overwrite to replace it, or another --out."
        )
    if checkpoint.is_dir() and not (overwrite or resume):
        raise ConfigError(
            "an interrupted training is here",
            where=checkpoint,
            remedy="Pass --resume to go on with it, or --overwrite to begin anew.",
        )
    if phrases < 0:
        raise ConfigError(f"{phrases} is no number of passes", where="phrases")
    begin = None if start is None else read_vectors(start)
    sentences = word_sentences(source, segmentation)
    text: Any = sentences.source
    if phrases:
        joiner = "" if sentences.lang == "zh" else "_"
        text = _join_phrases(text, phrases, phrase_threshold, joiner, min_count, lowercase)
        lowercase = False
    vectors = train(
        text, method, lowercase=lowercase, start=begin, checkpoint=checkpoint, resume=resume, **settings
    )  # fmt: skip
    vectors.meta["source"] = {"path": str(source), "segmented": sentences.is_cut, "phrases": phrases}
    vectors.save(out)
    if vectors.meta.get("finished", True):
        shutil.rmtree(checkpoint, ignore_errors=True)
    return vectors


def _join_phrases(source: Any, passes: int, threshold: float, joiner: str, min_count: int, lowercase: bool) -> WordIds:
    """The text with its phrases joined; a second pass joins phrases to phrases at half the threshold, as word2phrase's
    users do (Mikolov et al., 2013b, §4: decreasing thresholds)."""
    with progress("Read words", unit="words") as bar:
        text = read_word_ids(source, lowercase=lowercase, progress=bar)
    for number in range(passes):
        found = find_phrases(text, min_count=min_count, threshold=threshold / 2**number, joiner=joiner)
        first = ", ".join(joiner.join(pair) for pair in list(found.scores)[:_SAID])
        say(f"{len(found.scores):,} phrases{f': {first}, …' if first else ''}")
        text = found.join(text)
    return text
