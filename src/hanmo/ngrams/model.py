"""An n-gram language model: scores, distributions, samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.progress import Bar
from hanmo.core.settings import Settings
from hanmo.ngrams.automaton import Automaton
from hanmo.ngrams.lexicon import Lexicon
from hanmo.ngrams.lines import Batch, read_batches, split_lines
from hanmo.ngrams.marks import BEGIN, END, N_MARKS, UNKNOWN
from hanmo.ngrams.score import NgramScore
from hanmo.ngrams.scoring_kernels import distribution, score_sentences, walk
from hanmo.ngrams.settings import NgramSettings, Unit
from hanmo.ngrams.units import character_numbers, number_characters, number_lines, number_tokens
from hanmo.text.segment import words_of_lines
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.word_blocks import Source

__all__ = ["NgramInfo", "NgramModel", "damaged"]


Tell = Callable[[list[tuple[str, float]]], object]
"""Receives words with log10 p."""


class NgramInfo(Settings):
    """What a model is and how it came about; `ngram.json` holds it."""

    unit: Unit
    """What it is a model of."""
    order: int
    """Longest n-gram."""
    n_grams: tuple[int, ...]
    """N-grams of each order; those of order 1 are the words, the three marks included."""
    segmented: bool = False
    """Texts are cut into words by hanmo.text.segment first."""
    n_read: int | None = None
    """Words that it was trained on."""
    settings: NgramSettings | None = None
    """What it was trained with; None where it was read from an ARPA file."""
    discounts: tuple[tuple[float, float, float], ...] = ()
    """Taken from n-grams counted once, twice and more often, by order."""
    fallback_orders: tuple[int, ...] = ()
    """Orders whose discounts the counts did not give."""
    share: float = 1.0
    """Of the text that was counted: below 1 where Ctrl-C ended it."""


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off model of sentences; `hanmo.ngrams.train` makes one, `hanmo.ngrams.load` reads one."""

    info: NgramInfo
    lexicon: Lexicon
    automaton: Automaton
    tokenizer: Tokenizer | None = None
    """Of a model of tokens; None where it is scored by ids alone."""

    @property
    def order(self) -> int:
        """Longest n-gram."""
        return self.info.order

    @property
    def unit(self) -> Unit:
        """What it is a model of."""
        return self.info.unit

    @property
    def words(self) -> tuple[str, ...]:
        """All words by number; the first three are the marks <unk>, <s> and </s>."""
        return self.lexicon.words

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    @cached_property
    def _character_numbers(self) -> np.ndarray:
        return character_numbers(self.lexicon)

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
        a = self.automaton
        return a.word_logs, a.word_states, a.backoffs, a.table, a.size

    # -- texts ---------------------------------------------------------------------------------------------------

    def score(self, text: str, *, tell: Tell | None = None) -> NgramScore:
        """How probable a text is; each line is a sentence, and those without words are left out (`tell`: `perplexity`).

        Raises:
            DataError: if there are no words in it.
        """
        lines = split_lines(text)
        batch = Batch(lines, len(text), len(text.encode("utf-8", "surrogatepass")))
        return self._score([batch], None, "the text", tell)

    def perplexity(self, source: Source, *, bar: Bar | None = None, tell: Tell | None = None) -> NgramScore:
        """How probable the sentences of a file, of files or of an iterable are, in bounded memory.

        Args:
            source: is read once.
            bar: is told of the words that are done.
            tell: is called with what `token_logs` says of some sentences after the other.

        Raises:
            DataError: if there are no words in it, or a file cannot be read.
            FormatError: for what is not UTF-8, with the line.
        """
        return self._score(read_batches(source), bar, source if isinstance(source, str | Path) else None, tell)

    def log10(self, lines: Sequence[str]) -> np.ndarray:
        """log10 p of each line, its end included, (n,) fp64; 0 for a line without words. The fastest way."""
        ids, ends = self.numbers(lines)
        sums = self._sums(ids, ends)[:, 0]
        sums[np.diff(ends, prepend=0) == 0] = 0.0
        return sums

    def bits(self, texts: Sequence[str], per: Literal["character", "byte", "word"] = "character") -> np.ndarray:
        """Bits per character, byte or word of each text, (n,) fp64: what filters of a corpus go by.

        A text may have several lines; one without words gets infinity. "word" counts what the model counts (words,
        characters or tokens), and sentence ends.
        """
        if per not in ("character", "byte", "word"):
            raise ConfigError(f"per = {per!r} is not 'character', 'byte' or 'word'")
        split = [split_lines(text) for text in texts]
        ids, ends = self.numbers([line for lines in split for line in lines])
        lengths = np.diff(ends, prepend=0)
        logs = np.where(lengths > 0, self._sums(ids, ends)[:, 0], 0.0)
        firsts = np.cumsum([0, *(len(lines) for lines in split)])[:-1]  # every text has a line or more
        if per == "word":
            units = np.add.reduceat(lengths + (lengths > 0), firsts) if len(firsts) else np.zeros(0)
        else:
            units = np.array(
                [len(text) if per == "character" else len(text.encode("utf-8", "surrogatepass")) for text in texts]
            )
        logs = np.add.reduceat(logs, firsts) if len(firsts) else np.zeros(0)
        known = logs < 0
        return np.divide(-logs * math.log2(10), units, out=np.full(len(texts), np.inf), where=known)

    def token_logs(self, text: str) -> list[tuple[str, float]]:
        """Each word of a text and each end of a sentence, as the model knows it, with log10 p."""
        ids, ends = self.numbers(split_lines(text))
        return self._sums_and_logs(ids, _without_empty(ends))[1]

    def numbers(self, lines: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the words of lines, (N,) int32, and the position behind the last word of each, (n,) int64."""
        if self.unit == "token":
            if self.tokenizer is None:
                raise ConfigError(
                    "this model of token ids has no tokenizer with it", remedy="Score ids: model.score_ids(ids, ends)."
                )
            return number_tokens(lines, self.tokenizer)
        if self.unit == "character":
            return number_characters(lines, self._character_numbers)
        if self.info.segmented:
            lines = [" ".join(next(words_of_lines([line]), [])) for line in lines]
        return number_lines(lines, self.lexicon)

    def score_ids(self, ids: npt.ArrayLike, ends: npt.ArrayLike) -> np.ndarray:
        """log10 p of each sentence of word numbers, its end included, (n,) fp64.

        Args:
            ids: numbers as in `words`, (N,), any integer type.
            ends: position behind the last word of each sentence, (n,), any integer type; the last one is N.

        Raises:
            DataError: for a number that is no word of the model, and for ends that fall or do not end with the words.
        """
        ids, ends = _integers(ids, "the numbers of words"), _integers(ends, "the ends of sentences")
        if len(ids) and ids.min() < 0:
            raise DataError("a number of a word is below 0")
        if len(ids) and ids.max() >= len(self.lexicon):
            raise DataError(f"a number is not below {len(self.lexicon)}, the words of the model")
        if len(ends) and (ends[0] < 0 or (ends[1:] < ends[:-1]).any()):
            raise DataError("the ends of sentences fall, or begin below 0")
        if len(ids) != (ends[-1] if len(ends) else 0):
            raise DataError(
                f"the ends of sentences end at {ends[-1] if len(ends) else 0:,}, and there are {len(ids):,} words"
            )
        return self._sums(np.ascontiguousarray(ids, np.int32), np.ascontiguousarray(ends, np.int64))[:, 0]

    def _sums(self, ids: np.ndarray, ends: np.ndarray, logs: np.ndarray | None = None) -> np.ndarray:
        sums = np.zeros((len(ends), 4))
        if not score_sentences(ids, ends, *self._arrays, sums, np.zeros(0) if logs is None else logs):
            raise damaged()
        return sums

    def _sums_and_logs(self, ids: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, list[tuple[str, float]]]:
        """As `_sums`, and what `token_logs` says of these sentences."""
        logs = np.zeros(len(ids) + len(ends))
        sums = self._sums(ids, ends, logs)
        numbers = np.insert(ids, ends, END)
        return sums, [(self._spell(number), log) for number, log in zip(numbers.tolist(), logs.tolist(), strict=True)]

    def _score(self, batches: Iterable[Batch], bar: Bar | None, where: object, tell: Tell | None) -> NgramScore:
        total, n_words, n_sentences, n_characters, n_bytes = np.zeros(4), 0, 0, 0, 0
        for batch in batches:
            ids, ends = self.numbers(batch.lines)
            ends = _without_empty(ends)
            if tell is None:
                sums = self._sums(ids, ends)
            else:
                sums, logs = self._sums_and_logs(ids, ends)
                tell(logs)
            total += sums.sum(0)
            n_words, n_sentences = n_words + len(ids), n_sentences + len(ends)
            n_characters, n_bytes = n_characters + batch.n_characters, n_bytes + batch.n_bytes
            if bar is not None:
                bar.advance(len(ids))
        if not n_words:
            raise DataError("there are no words in it", where=where, remedy="Check that it is the right text.")
        return NgramScore(
            log10=float(total[0]), log10_unknown=float(total[1]), log10_ends=float(total[2]), n_unknown=int(total[3]),
            n_words=n_words, n_sentences=n_sentences, n_characters=n_characters, n_bytes=n_bytes,
        )  # fmt: skip

    # -- words ---------------------------------------------------------------------------------------------------

    def state(self, context: Sequence[str], *, begin: bool = False) -> int:
        """The state behind some words; with `begin`, behind the beginning of a sentence and them."""
        state = self.automaton.begin if begin else 0
        for word in context:
            state = self.step(state, self._index.get(word, UNKNOWN))[1]
        return state

    def step(self, state: int, number: int) -> tuple[float, int]:
        """log10 p of a word (by number) in a state, and the state behind it.

        Raises:
            DataError: for a number that is no word of the model, or no state.
        """
        if not 0 <= number < len(self.lexicon):
            raise DataError(f"{number} is no word of this model, which has {len(self.lexicon):,}")
        self._check_state(state)
        try:
            return walk(state, number, *self._arrays)
        except ValueError as error:
            raise damaged() from error

    def distribution(self, state: int) -> np.ndarray:
        """log10 p of every word in a state, (V,) fp64; -inf for the mark of the beginning, which is never predicted.

        Raises:
            DataError: for a number that is no state of the model.
        """
        self._check_state(state)
        logs = np.zeros(len(self.lexicon))
        try:
            distribution(state, *self._arrays, logs)
        except ValueError as error:
            raise damaged() from error
        logs[BEGIN] = -np.inf
        return logs

    def _check_state(self, state: int) -> None:
        n = len(self.automaton.backoffs)
        if not 0 <= state < n:
            raise DataError(f"{state} is no state of this model, which has {n:,}")

    def _spell(self, number: int) -> str:
        if self.unit == "token" and self.tokenizer is not None and number >= N_MARKS:
            return self.tokenizer.decode([number - N_MARKS])
        return self.words[number]

    def sample(self, prompt: str = "", *, max_words: int = 200, temperature: float = 1.0, seed: int = 0) -> str:
        """Write the rest of a sentence; the unknown word is never written.

        Args:
            prompt: its beginning.
            max_words: most words, characters or tokens to write.
            temperature: 1 draws as the model says, lower is more probable, 0 always the most probable word.
            seed: the same one gives the same sentence.

        Returns:
            The whole sentence, prompt included.
        """
        from hanmo.ngrams.sampling import sample

        return sample(self, prompt, max_words=max_words, temperature=temperature, seed=seed)

    # -- files ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """Write the folder that `hanmo.ngrams.load` maps in milliseconds; all of it or nothing.

        A model that is there is replaced.

        Raises:
            ConfigError: if the folder holds something else, which is left as it is.
            StorageError: if the disk is full or may not be written.
        """
        from hanmo.ngrams.storage import save

        save(self, folder)

    def write_arpa(self, path: str | Path) -> None:
        """Write an ARPA file, packed if its name ends with .gz; it says nothing of the unit.

        Raises:
            DataError: for a word with white space in it, of a model that was trained before such were refused.
            StorageError: if the disk is full or may not be written.
        """
        from hanmo.ngrams.arpa_writing import write_arpa

        write_arpa(self, path)


def _without_empty(ends: np.ndarray) -> np.ndarray:
    return ends[np.diff(ends, prepend=0) > 0]


def _integers(values: npt.ArrayLike, what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DataError(f"{what} are one row of integers, not {array.dtype} of shape {array.shape}")
    return array


def damaged() -> FormatError:
    """The error of a model whose numbers contradict each other."""
    return FormatError("this n-gram model is damaged: a number leads out of it", remedy="Train it or copy it again.")
