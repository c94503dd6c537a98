"""From text, or token ids, to a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.progress import Bar, progress, say
from hanmo.core.settings import check_settings
from hanmo.ngrams.automaton import build_automaton
from hanmo.ngrams.characters import read_character_ids
from hanmo.ngrams.counting import count_ngrams, framed
from hanmo.ngrams.discounts import Discounts
from hanmo.ngrams.lexicon import build_lexicon
from hanmo.ngrams.lines import read_batches
from hanmo.ngrams.marks import BEGIN_WORD, END_WORD, N_MARKS, UNKNOWN, UNKNOWN_WORD
from hanmo.ngrams.model import NgramInfo, NgramModel
from hanmo.ngrams.settings import NgramSettings, Unit
from hanmo.ngrams.smoothing import Estimate, estimate_levels
from hanmo.ngrams.units import number_tokens
from hanmo.text.language import guess_language
from hanmo.text.segment import is_segmented, words_of_lines
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.word_blocks import Source
from hanmo.tokenizers.word_ids import WordIds, read_word_ids

__all__ = ["split_ids", "train", "train_on_ids"]

_SAMPLE_LINES, _SAMPLE_CHARACTERS = 1_000, 200_000


def train(
    source: Source,
    *,
    order: int = 5,
    unit: Unit | None = None,
    tokenizer: Tokenizer | None = None,
    keep_interrupted: bool = False,
    **settings: Any,
) -> NgramModel:
    """Train an interpolated modified Kneser–Ney model (Chen and Goodman, 1998).

    Args:
        source: a UTF-8 text file, also .gz, or an iterable of `Path`s of such, where a line is a sentence; or an
            iterable of sentences, strings or lists of words.
        order: longest n-gram.
        unit: "word" (between white space; Chinese that has none is cut by `hanmo.text.segment`), "character" or
            "token"; if not given, tokens with a tokenizer, else characters for Chinese that is not cut into words, else
            words.
        tokenizer: makes the tokens.
        keep_interrupted: let Ctrl-C, while n-grams are counted, give the model of what is counted so far
            (`info.share` of the text).
        settings: further fields of `NgramSettings`: min_count, max_words, prune, fallback.

    Raises:
        ConfigError: for settings that cannot be.
        DataError: if there are no words, a file cannot be read, or a word is a mark of the model (<s>, </s>) or has
            white space in it.
        FormatError: for what is not UTF-8, with the line.
    """
    if unit == "token" and tokenizer is None:
        raise ConfigError(
            "a model of tokens needs a tokenizer", where="unit", remedy="Give tokenizer=, or use train_on_ids."
        )
    if tokenizer is not None and unit not in (None, "token"):
        raise ConfigError(f"a tokenizer was given for a model of {unit}s", where="unit")
    source, sample = _look_at(source)
    is_chinese = guess_language(sample) == "zh" and not is_segmented(sample)
    unit = unit or ("token" if tokenizer is not None else "character" if is_chinese else "word")
    chosen = check_settings(NgramSettings, {**settings, "order": order, "unit": unit})
    is_cut = unit == "word" and is_chinese
    with progress(f"Read {unit}s", unit=f"{unit}s") as bar:
        if tokenizer is not None:
            read = _read_token_ids(source, tokenizer, chosen, bar)
        elif unit == "character":
            read = read_character_ids(source, chosen, bar)
        else:
            if is_cut:
                say("Chinese text without white space between its words: hanmo.text.segment cuts it.")
                source = words_of_lines(line for batch in read_batches(source) for line in batch.lines)
            read = read_word_ids(
                source, min_count=chosen.min_count, max_words=chosen.max_words, keep_unknown=True, progress=bar
            )
    text = _mark(read)
    del read
    return _train(text, chosen, tokenizer, is_cut=is_cut, keep_interrupted=keep_interrupted)


def train_on_ids(
    ids: np.ndarray, *, n_ids: int, end_id: int, order: int = 5, tokenizer: Tokenizer | None = None, **settings: Any
) -> NgramModel:
    """Train on a row of token ids, such as the shards of a corpus.

    Args:
        ids: (N,) any integer type, may be memory-mapped.
        n_ids: ids are below it; each of them is known to the model, even if it does not occur.
        end_id: ends a sentence (or document); the model knows it as the mark of the end.
        order: longest n-gram.
        tokenizer: made the ids; it lets the model score texts.
        settings: `prune` and `fallback` of `NgramSettings`.

    Raises:
        ConfigError: for settings that cannot be.
        DataError: for an id that is not below `n_ids`, or if there are none.
    """
    if unknown := set(settings) - {"prune", "fallback"}:
        raise ConfigError(f"{', '.join(sorted(unknown))} cannot be chosen for ids", remedy="All ids are known.")
    chosen = check_settings(NgramSettings, {**settings, "order": order, "unit": "token"})
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < n_ids:
        raise DataError(f"an id is not between 0 and {n_ids - 1}", remedy="Was it made with another tokenizer?")
    return _train(_mark(_ids_as_words(*split_ids(ids, end_id), n_ids)), chosen, tokenizer)


def split_ids(ids: np.ndarray, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """The ids without those that end a sentence, and the position behind the last one of each sentence, int64."""
    is_end = np.asarray(ids) == end_id
    ends = np.flatnonzero(is_end)
    ends -= np.arange(len(ends))
    kept = np.asarray(ids)[~is_end]
    return kept, ends if len(ends) and ends[-1] == len(kept) else np.append(ends, len(kept))


def _ids_as_words(ids: np.ndarray, ends: np.ndarray, n_ids: int) -> WordIds:
    """Ids whose words are their digits."""
    return WordIds(tuple(map(str, range(n_ids))), np.bincount(ids, minlength=n_ids), ids, ends, len(ids))


@dataclass
class _Text:
    """What is counted: sentences between their marks, and their words."""

    row: np.ndarray
    words: Sequence[str]
    n_read: int


def _mark(read: WordIds) -> _Text:
    """Number the words behind the marks and put the marks around sentences; -1 is the unknown word.

    Raises:
        DataError: if a mark of the model is among the words.
    """
    words: Sequence[str] = read.words
    for mark in (BEGIN_WORD, END_WORD):
        if mark in words:
            raise DataError(
                f"the word {mark!r} is in the text, and is a mark of the model", remedy="Take it out of the text."
            )
    numbers = np.arange(N_MARKS, len(words) + N_MARKS + 1, dtype=np.int32)
    numbers[-1] = UNKNOWN
    if UNKNOWN_WORD in words:  # some corpora write it, and mean what the mark means
        place = words.index(UNKNOWN_WORD)
        numbers[place + 1 :] -= 1
        numbers[place] = numbers[-1] = UNKNOWN
        words = (*words[:place], *words[place + 1 :])
    return _Text(framed(read.ids, read.ends, numbers), words, len(read.ids))


def _train(
    text: _Text,
    settings: NgramSettings,
    tokenizer: Tokenizer | None,
    *,
    is_cut: bool = False,
    keep_interrupted: bool = False,
) -> NgramModel:
    """Count, estimate and pack."""
    lexicon = build_lexicon(text.words)
    with progress("Count n-grams", total=len(text.row), unit=f"{settings.unit}s") as bar:
        counts = count_ngrams(text.row, len(lexicon), settings.order, bar, keep_interrupted=keep_interrupted)
    text.row = text.row[:0]  # not needed any more, and large
    order = len(counts.levels)
    kept = [len(lexicon)]
    for n, level in enumerate(counts.levels[1:], 2):
        kept.append(int(np.count_nonzero(level.counts > settings.threshold(n))))
    discounts: list[Discounts] = []
    with progress("Estimate", total=sum(map(len, counts.levels)), unit="n-grams") as bar:
        estimates = _watched(estimate_levels(counts.levels, settings), discounts, bar)
        automaton = build_automaton(estimates, order, sum(kept[1:]))
    info = NgramInfo(
        unit=settings.unit, order=order, n_grams=tuple(kept), segmented=is_cut, n_read=round(text.n_read * counts.share),
        settings=settings, discounts=tuple((d.one, d.two, d.more) for d in discounts),
        fallback_orders=tuple(n for n, d in enumerate(discounts, 1) if d.problem), share=counts.share,
    )  # fmt: skip
    return NgramModel(info, lexicon, automaton, tokenizer)


def _watched(estimates: Iterator[Estimate], discounts: list[Discounts], bar: Bar) -> Iterator[Estimate]:
    for estimate in estimates:
        assert estimate.discounts is not None
        discounts.append(estimate.discounts)
        n = len(estimate.kept)
        yield estimate
        del estimate  # not held while the next one is made
        bar.advance(n)


def _look_at(source: Source) -> tuple[Source, str]:
    """The source, and the beginning of its text."""
    if isinstance(source, str | Path):
        batch = next(read_batches(source), None)
        return source, "" if batch is None else "\n".join(batch.lines[:_SAMPLE_LINES])[:_SAMPLE_CHARACTERS]
    items: Iterator[Any] = iter(source)
    first = list(islice(items, _SAMPLE_LINES))
    whole: Iterable[Any] = chain(first, items)
    if first and isinstance(first[0], Path):
        return whole, _look_at(first[0])[1]
    # what is no sentence is told of by the reader, with its place
    lines = (" ".join(map(str, item)) if isinstance(item, list) else str(item) for item in first)
    return whole, "\n".join(lines)[:_SAMPLE_CHARACTERS]


def _read_token_ids(source: Source, tokenizer: Tokenizer, settings: NgramSettings, bar: Bar) -> WordIds:
    if settings.min_count > 1 or settings.max_words is not None:
        raise ConfigError("min_count and max_words choose words, and a tokenizer has chosen its tokens")
    parts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    n = 0
    for batch in read_batches(source):
        ids, own_ends = number_tokens(batch.lines, tokenizer)
        parts.append(ids - N_MARKS)
        ends.append(own_ends + n)
        n += len(ids)
        bar.advance(len(ids))
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int32)
    return _ids_as_words(whole, np.concatenate(ends) if ends else np.zeros(0, np.int64), tokenizer.vocab_size)
