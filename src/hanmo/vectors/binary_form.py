"""word2vec's binary form: a line `count dim`, then for each word its bytes, a space and its float32 (Mikolov, 2013)."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NoReturn

import numpy as np

from hanmo.core.errors import FormatError
from hanmo.core.files import write_atomic
from hanmo.core.progress import progress
from hanmo.vectors.reading import BLOCK_BYTES, Gathered, open_bytes
from hanmo.vectors.text_form import check_words, read_header
from hanmo.vectors.text_kernels import copy_rows
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = ["read_binary", "write_binary"]

_MAX_WORD_BYTES = 4096


def read_binary(path: Path, *, limit: int | None = None, skip_bad: bool = False) -> WordVectors:
    """Read word2vec's binary form, also .gz; a newline before a word, as the first program writes it, is skipped.

    Args:
        path: the file.
        limit: read only so many words.
        skip_bad: leave out words that are not UTF-8 or stand there twice, and vectors that are not finite.

    Raises:
        DataError: if the file cannot be read.
        FormatError: for a header that does not tell the truth, or a bad row; with file and row, from 1.
    """
    with open_bytes(path) as (stream, megabytes), progress(f"read {path.name}", path.stat().st_size / 1e6, "MB") as bar:
        promised = read_header(stream.readline(100))
        if promised is None or promised[1] < 1:
            raise FormatError("word2vec's binary form begins with a line 'count dim'", where=f"{path}:1")
        count, dim = promised
        n_left = None if isinstance(stream, gzip.GzipFile) else path.stat().st_size - stream.tell()
        if count and n_left is not None and 4 * dim > n_left:
            raise FormatError(
                f"a vector of dim {dim} takes {4 * dim} bytes, and the file has {n_left} bytes behind this line",
                where=f"{path}:1",
                remedy="Get the file again.",
            )
        n_wanted = count if limit is None else min(count, limit)
        gathered = Gathered(path, dim, lambda row: f"{path}: row {row} of {count:,}", skip_bad=skip_bad)
        rest, told = b"", 0.0
        while True:
            block = stream.read(BLOCK_BYTES)
            data = rest + block
            behind = _read_rows(data, gathered, dim, n_wanted, path)
            rest = data[behind:]
            bar.advance(megabytes() - told)
            told = megabytes()
            if len(gathered) == n_wanted or not block:
                break
        if len(gathered) < n_wanted:
            raise FormatError(
                f"ends in row {len(gathered) + 1:,} of the {count:,} words of dim {dim} that its header promises",
                where=path,
                remedy="Get the file again.",
            )
        if n_wanted == count and (rest + stream.read(1)).strip(b"\n"):
            raise FormatError(f"there is more behind the {count:,} words that its header promises", where=path)
    return gathered.finish()


def _read_rows(data: bytes, gathered: Gathered, dim: int, n_wanted: int, path: Path) -> int:
    """Gather the rows that are whole; the position behind them."""
    n_most = min(len(data) // (4 * dim + 1), n_wanted - len(gathered))
    words = np.empty((n_most, 2), np.int64)
    rows = gathered.room(n_most).view(np.uint8)
    n_rows, behind = copy_rows(np.frombuffer(data, np.uint8), 0, rows, words, _MAX_WORD_BYTES)
    if n_rows < 0:
        _no_word(path, dim)
    numbers = range(len(gathered) + 1, len(gathered) + 1 + n_rows)
    gathered.add([data[start:end] for start, end in words[:n_rows].tolist()], numbers)
    return behind


def _no_word(path: Path, dim: int) -> NoReturn:
    raise FormatError(
        f"a word is longer than {_MAX_WORD_BYTES} bytes",
        where=path,
        remedy=f"This is no word2vec binary file, or dim is not the {dim} of its header.",
    )


def write_binary(vectors: WordVectors, path: Path) -> None:
    """Write word2vec's binary form.

    Raises:
        DataError: for a word with white space in it, or a number that is not finite.
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    check_words(vectors)

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file, progress(f"write {path.name}", len(vectors), "words") as bar:
            file.write(f"{len(vectors)} {vectors.dim}\n".encode())
            for part in blocks(*vectors.matrix.shape):
                rows = np.ascontiguousarray(vectors.rows(part), dtype="<f4")
                for word, row in zip(vectors.words[part], rows, strict=True):
                    file.write(word.encode() + b" " + row.tobytes() + b"\n")
                bar.advance(len(rows))

    write_atomic(path, fill)
