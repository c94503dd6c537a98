"""Vectors as text, a line a word: `word number number …`; word2vec puts a line `count dim` before, GloVe does not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import write_atomic
from hanmo.core.progress import progress
from hanmo.vectors.reading import BLOCK_BYTES, Gathered, open_bytes
from hanmo.vectors.text_kernels import BYTES_A_NUMBER, format_rows, parse_rows
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = ["check_words", "read_header", "read_text", "write_text"]

_SEPARATORS = re.compile(r"[ \t\n\r\v\f]")


def read_header(line: bytes) -> tuple[int, int] | None:
    """(count, dim) of a line `count dim`; None for any other."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() and len(field) < 19 for field in fields):
        return None
    return int(fields[0]), int(fields[1])


def read_text(path: Path, *, header: bool, limit: int | None = None, skip_bad: bool = False) -> WordVectors:
    """Read word2vec text (`header`) or GloVe text, also .gz.

    Args:
        path: the file.
        header: whether its first line is `count dim`.
        limit: read only so many words.
        skip_bad: leave bad lines out instead of raising an error.

    Raises:
        DataError: if the file cannot be read.
        FormatError: for a line that is not `word number number …` with as many numbers as the others, a word that is
            not UTF-8 or stands there twice, a number that is not finite, or a header that does not tell the truth; with
            file and line.
    """
    with open_bytes(path) as (stream, megabytes), progress(f"read {path.name}", path.stat().st_size / 1e6, "MB") as bar:
        first = stream.readline().removeprefix(b"\xef\xbb\xbf")
        promised = read_header(first) if header else None
        if header and promised is None:
            raise FormatError(
                "word2vec text begins with a line 'count dim'", where=f"{path}:1", remedy="Read it as GloVe text."
            )
        dim = promised[1] if promised else len(first.split()) - 1
        if dim < 1:
            raise FormatError("this is no line 'word number number …'", where=f"{path}:1")
        gathered = Gathered(path, dim, lambda line: f"{path}:{line}", skip_bad=skip_bad)
        n_lines, rest = (1, b"") if header else (0, first)
        told = 0.0
        while limit is None or len(gathered) < limit:
            data = stream.read(BLOCK_BYTES)
            lines, rest = _whole_lines(rest + data, is_last=not data)
            n_lines += _read_lines(lines, n_lines, gathered, dim, promised, limit)
            bar.advance(megabytes() - told)
            told = megabytes()
            if not data:
                break
    if promised and len(gathered) != promised[0] and (limit is None or len(gathered) < limit):
        raise FormatError(
            f"the header promises {promised[0]:,} words, the file has {len(gathered):,}",
            where=f"{path}:1",
            remedy="Get the file again, or correct its first line.",
        )
    return gathered.finish()


def _whole_lines(data: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
    """The data up to its last line end, and the rest."""
    if is_last:
        return (data if data.endswith(b"\n") or not data else data + b"\n"), b""
    cut = data.rfind(b"\n") + 1
    return data[:cut], data[cut:]


def _read_lines(
    lines: bytes, n_before: int, gathered: Gathered, dim: int, promised: tuple[int, int] | None, limit: int | None
) -> int:
    """Gather the rows of some whole lines; how many lines they were."""
    data, done = np.frombuffer(lines, np.uint8), np.zeros(3, np.int64)
    n_most = lines.count(b"\n")
    words, numbers = np.empty((n_most, 2), np.int64), np.empty(n_most, np.int64)
    position, n_lines = 0, 0
    while position < len(lines) and (limit is None or len(gathered) < limit):
        n_left = n_most - n_lines if limit is None else min(n_most - n_lines, limit - len(gathered))
        # a number and its space are two bytes: there is never room for more rows than the data could hold
        rows = gathered.room(min(n_left, (len(lines) - position) // (2 * dim)))
        done[:] = position, 0, 0
        regular = len(rows) > 0 and parse_rows(data, position, rows, words, numbers, done)
        position, n_rows = int(done[0]), int(done[1])
        gathered.add(
            [lines[start:end] for start, end in words[:n_rows].tolist()],
            (numbers[:n_rows] + (n_before + n_lines + 1)).tolist(),
        )
        n_lines += int(done[2])
        if not regular:
            end = lines.index(b"\n", position)
            _read_odd_line(lines[position:end], n_before + n_lines + 1, gathered, dim, promised)
            position, n_lines = end + 1, n_lines + 1
    return n_lines


def _read_odd_line(line: bytes, number: int, gathered: Gathered, dim: int, promised: tuple[int, int] | None) -> None:
    """The plain form of `parse_rows`, for one line, which says what is wrong with it."""
    fields = line.split()
    if not fields:
        return
    numbers = [_number(field) for field in fields[1:]]
    if len(numbers) == dim and None not in numbers:
        with np.errstate(over="ignore"):  # an infinity is found when all rows are there
            gathered.room(1)[0] = np.array(numbers, np.float64).astype(np.float32)
        gathered.add([fields[0]], [number])
        return
    text = [field.decode(errors="replace") for field in fields]
    n_trailing = next((i for i, value in enumerate(reversed(numbers)) if value is None), len(numbers))
    remedy = None
    if n_trailing == dim:
        what = f"the word {' '.join(text[:-dim])!r} has a space in it"
        remedy = "Replace the space by '_', or leave bad rows out (skip_bad)."
    elif None in numbers and len(numbers) == dim:
        what = f"{text[1 + numbers.index(None)]!r} is not a number"
    else:
        what = f"{len(numbers)} numbers where {'the header promises' if promised else 'the first line has'} {dim}"
    gathered.skip(what, number, remedy)


def _number(field: bytes) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def check_words(vectors: WordVectors) -> None:
    """Refuse words that cannot stand in a file that puts spaces and line ends between them.

    Raises:
        DataError: names the word and its row.
    """
    for row, word in enumerate(vectors.words):
        if _SEPARATORS.search(word):
            raise DataError(
                f"the word {word!r} (row {row}) has white space in it, which this form cannot hold",
                remedy="Save them in hanmo's own form (a name without a suffix).",
            )


def write_text(vectors: WordVectors, path: Path, *, header: bool) -> None:
    """Write word2vec text (`header`) or GloVe text; every number reads back as the same float32.

    Raises:
        DataError: for a word with white space in it, or a number that is not finite.
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    check_words(vectors)

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file, progress(f"write {path.name}", len(vectors), "words") as bar:
            if header:
                file.write(f"{len(vectors)} {vectors.dim}\n".encode())
            for part in blocks(*vectors.matrix.shape):
                words = [word.encode() for word in vectors.words[part]]
                rows = np.ascontiguousarray(vectors.rows(part))
                letters = np.frombuffer(b"".join(words), np.uint8)
                out = np.empty(len(letters) + len(rows) * (vectors.dim * BYTES_A_NUMBER + 1), np.uint8)
                n = format_rows(rows, letters, np.cumsum([len(word) for word in words]), out)
                file.write(out[:n].data)
                bar.advance(len(rows))

    write_atomic(path, fill)
