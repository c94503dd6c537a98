"""ARPA files in, as SRILM, kenlm and this project write them."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.errors import FormatError
from hanmo.core.files import open_unpacked
from hanmo.core.progress import Bar, progress, say
from hanmo.ngrams.arpa_levels import Section, make_estimates
from hanmo.ngrams.arpa_reading_kernels import BAD_NUMBER, DONE, FIELDS, POSITIVE, read_lines
from hanmo.ngrams.automaton import build_automaton
from hanmo.ngrams.automaton_kernels import LOG_UNIT
from hanmo.ngrams.lexicon import Lexicon, build_lexicon
from hanmo.ngrams.marks import BEGIN_WORD, END_WORD, N_MARKS, UNKNOWN_WORD
from hanmo.ngrams.model import NgramInfo, NgramModel
from hanmo.ngrams.settings import Unit

__all__ = ["LOG_UNKNOWN", "read_arpa"]

LOG_UNKNOWN = -100.0
"""log10 p of an unknown word where the file does not know one, as kenlm has it."""

_LOWEST = -(2.0**40 - 1) * LOG_UNIT
_MOST_ORDER = 12
_SHOWN = 60


def read_arpa(path: str | Path, *, unit: Unit = "word") -> NgramModel:
    """Read an ARPA file, also one packed with gzip.

    N-grams whose beginning or end is missing (SRILM prunes so) get it, with the probability that backing off gives.

    Args:
        path: the file.
        unit: what it is a model of; the file does not say.

    Raises:
        FormatError: for a header that does not tell the truth, a missing section, a line that is none, a number that
            is no log-probability, a word that is not among the 1-grams, what is not UTF-8; each with its line.
        DataError: if the file cannot be read.
    """
    reader = _Reader(Path(path))
    header = reader.header()
    with progress("Read ARPA", total=sum(header), unit="n-grams") as bar:
        sections = [reader.section(n, count, len(header), bar) for n, count in enumerate(header, 1)]
    reader.end()
    lexicon = reader.lexicon
    estimates, n_grams = make_estimates(sections, reader.path)
    automaton = build_automaton(estimates, len(header), sum(n_grams[1:]))
    info = NgramInfo(unit=unit, order=len(header), n_grams=tuple(n_grams))
    return NgramModel(info, lexicon, automaton)


@dataclass
class _Reader:
    """A place in the file."""

    path: Path

    def __post_init__(self) -> None:
        self.data = _read(self.path)
        self.state = np.zeros(4, np.int64)  # position, lines before it (`read_lines`)
        self.lexicon: Lexicon = build_lexicon([])

    def _line(self) -> str | None:
        """The next line that is not blank, without white space around it; None at the end."""
        while self.state[0] < len(self.data):
            position = int(self.state[0])
            end = position + _find_line_feed(self.data[position:])
            self.state[0], self.state[1] = end + 1, self.state[1] + 1
            if text := self.data[position:end].tobytes().strip():
                return text.decode("utf-8", "replace")
        return None

    def _bad(self, what: str, *, line: int | None = None, remedy: str | None = None) -> FormatError:
        return FormatError(what, where=f"{self.path}:{int(self.state[1]) if line is None else line}", remedy=remedy)

    def header(self) -> list[int]:
        r"""N-grams of each order, as the section \data\ says."""
        line = self._line()
        if line != "\\data\\":
            found = f"it begins with {line[:_SHOWN]!r}" if line else "it is empty"
            raise self._bad(f"not an ARPA file: \\data\\ is missing at its beginning ({found})")
        counts: list[int] = []
        while True:
            before = self.state.copy()
            line = self._line()
            if line is None:
                raise self._bad("the file ends inside its header")
            if line.startswith("\\"):
                self.state = before  # the first section
                break
            match = re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line)
            if match is None or int(match[1]) != len(counts) + 1 or len(match[2]) > 12:
                raise self._bad(f"expected 'ngram {len(counts) + 1}=COUNT', found {line[:_SHOWN]!r}")
            counts.append(int(match[2]))
        if not 1 <= len(counts) <= _MOST_ORDER:
            raise self._bad(f"the header names {len(counts)} orders; from 1 to {_MOST_ORDER} can be read")
        return counts

    def section(self, n: int, count: int, order: int, bar: Bar) -> Section:
        """The n-grams of one order; those of order 1 make the lexicon."""
        title = f"\\{n}-grams:"
        if (line := self._line()) != title:
            raise self._bad(f"expected the section {title}, found {_shown(line)}")
        first_line = int(self.state[1]) + 1  # unless blank lines follow
        # a line takes 4 bytes or more: a header that promises more than the file can hold shall not take memory
        if count > len(self.data) // 4 + 1:
            raise self._bad(f"the header says {count:,} {n}-grams, more than there is room for in this file")
        words, logs, backoffs = np.zeros((count if n > 1 else 0, n), np.int32), np.zeros(count), np.zeros(count)
        spans = np.zeros((count if n == 1 else 0, 2), np.int64)
        self.state[2] = 0
        status = read_lines(
            self.data, n, n == order, *self.lexicon.arrays, words, spans, logs, backoffs, self.state
        )  # fmt: skip
        found = int(self.state[2])
        if status != DONE:
            raise self._bad_line(status, n, is_longest=n == order)
        if found < count:
            raise self._bad(f"the header says {count:,} {n}-grams, but there are {found:,}", line=self.state[1] + 1)
        bar.advance(count)
        if n == 1:
            return self._words(spans, logs, backoffs, first_line)
        if count and (lowest := int(logs.argmin())) >= 0 and logs[lowest] < _LOWEST:
            what = f"log10 p = {logs[lowest]:g}; {_LOWEST:.0f} is the lowest that is held"
            raise self._bad(what, line=first_line + lowest)
        return Section(words, logs, backoffs, first_line)

    def _bad_line(self, status: int, n: int, *, is_longest: bool) -> FormatError:
        position, line = int(self.state[0]), int(self.state[1]) + 1
        if status == FIELDS:
            fields = f"log10 p and {n} word{'s' * (n > 1)}" + ("" if is_longest else " and perhaps a back-off weight")
            return self._bad(f"a line of the {n}-grams has {fields}; found {self._text(position)!r}", line=line)
        if status == BAD_NUMBER:
            return self._bad(f"a log-probability is no number: {self._text(position)!r}", line=line)
        if status == POSITIVE:
            return self._bad(f"a log-probability is above 0: {self._text(position)!r}", line=line)
        word = self.data[position : int(self.state[3])].tobytes().decode("utf-8", "replace")
        return self._bad(f"the word {word!r} is not among the 1-grams", line=line)

    def _text(self, position: int) -> str:
        end = position + _find_line_feed(self.data[position:])
        return self.data[position:end].tobytes().decode("utf-8", "replace")[:_SHOWN]

    def _words(self, spans: np.ndarray, logs: np.ndarray, backoffs: np.ndarray, first_line: int) -> Section:
        """The 1-grams, with the three marks in front."""
        names: list[str] = []
        for low, high in spans.tolist():
            try:
                name = self.data[low:high].tobytes().decode()
            except UnicodeDecodeError as error:
                line = int(np.count_nonzero(self.data[:low] == 10)) + 1
                raise self._bad("a word is not UTF-8 text", line=line, remedy="Convert it: iconv -t UTF-8.") from error
            names.append(name)
        if "<UNK>" in names and UNKNOWN_WORD not in names:  # as some tools write it
            names[names.index("<UNK>")] = UNKNOWN_WORD
            self.data = np.frombuffer(self.data.tobytes().replace(b"<UNK>", UNKNOWN_WORD.encode()), np.uint8)
        places = {name: place for place, name in enumerate(names)}
        if len(places) < len(names):
            firsts = dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))
            place = next(place for place, name in enumerate(names) if firsts[name] != place)
            raise self._bad(f"the word {names[place]!r} is twice among the 1-grams", line=first_line + place)
        for mark in (BEGIN_WORD, END_WORD):
            if mark not in places:
                raise self._bad(f"{mark} is not among the 1-grams", line=first_line)
        order = [places.get(UNKNOWN_WORD, -1), places[BEGIN_WORD], places[END_WORD]]
        order += [place for name, place in places.items() if name not in (UNKNOWN_WORD, BEGIN_WORD, END_WORD)]
        self.lexicon = build_lexicon([names[place] for place in order[N_MARKS:]])
        with_unknown = order[0] >= 0
        if not with_unknown:
            say(f"{self.path}: <unk> is not among the 1-grams; log10 p = {LOG_UNKNOWN:g} stands for unknown words.")
        logs, backoffs = logs[order], backoffs[order]
        if not with_unknown:
            logs[0], backoffs[0] = LOG_UNKNOWN, 0.0
        return Section(np.arange(len(order), dtype=np.int32)[:, None], logs, backoffs, first_line)

    def end(self) -> None:
        r"""The mark \end\."""
        if (line := self._line()) != "\\end\\":
            raise self._bad(f"expected \\end\\ behind the last section, found {_shown(line)}")


def _shown(line: str | None) -> str:
    return "the end of the file" if line is None else repr(line[:_SHOWN])


def _find_line_feed(data: np.ndarray) -> int:
    """Position of the first line feed, or the length."""
    for low in range(0, len(data), 2**16):
        found = np.flatnonzero(data[low : low + 2**16] == 10)
        if len(found):
            return low + int(found[0])
    return len(data)


def _read(path: Path) -> np.ndarray:
    """All bytes of a file, mapped unless it is packed."""
    with open_unpacked(path) as stream:
        if isinstance(stream, gzip.GzipFile):
            return np.frombuffer(stream.read(), np.uint8)
        return np.asarray(np.memmap(stream, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8))
