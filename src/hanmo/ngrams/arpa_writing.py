"""ARPA files out: the text form of back-off models that SRILM, kenlm and others read."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, cast

import numpy as np

from hanmo.core.files import write_atomic
from hanmo.core.progress import Bar, progress
from hanmo.ngrams.arpa_writing_kernels import LONGEST_NUMBER, list_grams, name_parents, write_lines
from hanmo.ngrams.lexicon import check_words
from hanmo.ngrams.model import NgramModel, damaged

__all__ = ["write_arpa"]

_BUFFER = 2**22


def write_arpa(model: NgramModel, path: str | Path) -> None:
    """Write an ARPA file (`NgramModel.write_arpa`)."""
    path = Path(path)
    check_words(model.words)
    automaton = model.automaton
    parents = np.zeros(len(automaton.backoffs), np.uint32)
    words = np.zeros(len(automaton.backoffs), np.int32)
    if not name_parents(automaton.table, automaton.word_states, automaton.order_ends, parents, words):
        raise damaged()

    def fill(temporary: Path) -> None:
        packed = path.name.lower().endswith(".gz")
        with (
            open(temporary, "wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else nullcontext(raw) as file,
            progress("Write ARPA", total=sum(model.info.n_grams), unit="n-grams") as bar,
        ):
            _write(model, parents, words, cast("IO[bytes]", file), bar)

    write_atomic(path, fill)


def _write(model: NgramModel, parents: np.ndarray, words: np.ndarray, file: IO[bytes], bar: Bar) -> None:
    counts = "".join(f"ngram {n}={count}\n" for n, count in enumerate(model.info.n_grams, 1))
    file.write(f"\\data\\\n{counts}\n\\1-grams:\n".encode())
    file.write("".join(_word_lines(model)).encode())
    bar.advance(len(model.words))
    automaton = model.automaton
    longest = int(np.diff(model.lexicon.starts).max())
    out = np.empty(max(_BUFFER, model.order * (longest + 1) + 2 * LONGEST_NUMBER + 2), np.uint8)
    done = np.zeros(2, np.int64)
    for n in range(2, model.order + 1):
        file.write(f"\n\\{n}-grams:\n".encode())
        places = np.empty(model.info.n_grams[n - 1], np.int64)
        low, high = int(automaton.order_ends[n - 2]), int(automaton.order_ends[n - 1])
        found = list_grams(automaton.table, low, high, places)
        if found != len(places):
            raise damaged()
        first = 0
        while first < len(places):
            write_lines(
                places, first, n, automaton.table, automaton.backoffs, automaton.order_ends, parents, words,
                model.lexicon.starts, model.lexicon.letters, out, done,
            )  # fmt: skip
            file.write(out[: done[1]].data)
            bar.advance(int(done[0]) - first)
            first = int(done[0])
    file.write(b"\n\\end\\\n")


def _word_lines(model: NgramModel) -> Iterator[str]:
    automaton = model.automaton
    backoffs = automaton.backoffs[automaton.word_states, 0]
    rows = zip(
        model.words, automaton.word_logs.tolist(), backoffs.tolist(), automaton.word_states.tolist(), strict=True
    )
    for word, log, backoff, state in rows:
        tail = f"\t{_number(backoff)}" if state else ""
        yield f"{_number(log)}\t{word}{tail}\n"


def _number(value: float) -> str:
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
