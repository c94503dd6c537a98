"""hanmo's own form: a folder with the matrix in vectors.safetensors, which can be memory-mapped, and words.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import check_replaceable, new_folder, read_json, write_json
from hanmo.vectors.subwords import read_subwords, write_subwords
from hanmo.vectors.word_vectors import WordVectors, blocks

__all__ = ["check_own_folder", "is_own_form", "read_own", "read_own_dim", "write_own"]

_MATRIX, _WORDS = "vectors.safetensors", "words.json"
_TENSOR = "vectors"


def is_own_form(path: Path) -> bool:
    """Whether `path` is a folder of this form."""
    return (path / _WORDS).is_file()


def check_own_folder(path: Path) -> None:
    """Whether vectors may be written there: over nothing, an empty folder, or vectors.

    Raises:
        ConfigError: if there is a folder of something else.
    """
    check_replaceable(path, _WORDS)


def write_own(vectors: WordVectors, path: Path) -> None:
    """Write the folder; all of it or nothing.

    Raises:
        ConfigError: if there is a folder of something else.
        DataError: for a number that is not finite.
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    check_own_folder(path)
    counts = None if vectors.counts is None else vectors.counts.tolist()
    with new_folder(path) as folder:
        _write_matrix(vectors, folder / _MATRIX)
        write_json(folder / _WORDS, {"words": vectors.words, "counts": counts, "meta": vectors.meta})
        if vectors.subwords is not None:
            write_subwords(vectors.subwords, folder)


def read_own(path: Path, *, mmap: bool = False) -> WordVectors:
    """Read the folder.

    Args:
        path: the folder.
        mmap: leave the matrix on disk and read rows when they are used; a number that is not finite is then met when
            its row is used, not now.

    Raises:
        DataError: if it is not there.
        FormatError: if it is damaged.
    """
    words = path / _WORDS
    try:
        table = read_json(words)
        matrix = _map_matrix(path / _MATRIX)
    except FileNotFoundError as error:
        raise DataError("these vectors are not whole: a file is missing", where=error.filename) from error
    except OSError as error:
        raise DataError(f"cannot read these vectors ({error.strerror})", where=path) from error
    names, counts = (table.get("words"), table.get("counts")) if isinstance(table, dict) else (None, None)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError("there is no list of words under the key 'words'", where=words)
    if counts is not None and not (isinstance(counts, list) and all(type(count) is int for count in counts)):
        raise FormatError("'counts' is no list of whole numbers", where=words)
    return WordVectors(
        names,
        matrix if mmap else np.array(matrix),
        counts=None if counts is None else np.array(counts, np.int64),
        meta=table.get("meta") or {},
        subwords=read_subwords(path, matrix.shape[1]),
        where=path,
        check=not mmap,
    )


def read_own_dim(path: Path) -> int:
    """The length of the vectors in the folder.

    Raises:
        DataError: if it is not there.
        FormatError: if it is damaged.
    """
    try:
        return _map_matrix(path / _MATRIX).shape[1]
    except OSError as error:
        raise DataError(f"cannot read these vectors ({error.strerror})", where=path) from error


def _write_matrix(vectors: WordVectors, file: Path) -> None:
    """Block by block, because a mapped matrix may be larger than the memory."""
    matrix = vectors.matrix
    entry = {"dtype": "F32", "shape": matrix.shape, "data_offsets": (0, 4 * matrix.size)}
    header = json.dumps({_TENSOR: entry}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with open(file, "wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for part in blocks(*matrix.shape):
            stream.write(np.ascontiguousarray(vectors.rows(part), "<f4").data)


def _map_matrix(file: Path) -> np.ndarray:
    """The matrix on disk: 8 bytes length of the header, the header, the numbers (github.com/huggingface/safetensors)."""
    size = file.stat().st_size
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        entry = _read_entry(stream.read(length)) if length < size else None
    if entry is None:
        raise FormatError("this is no safetensors file with a float32 matrix 'vectors'", where=file)
    shape, start, end = entry
    if 8 + length + end > size or end - start != 4 * shape[0] * shape[1] or start < 0:
        raise FormatError("the file is cut short, or its header does not tell the truth", where=file)
    return np.memmap(file, "<f4", "r", 8 + length + start, shape)


def _read_entry(header: bytes) -> tuple[tuple[int, int], int, int] | None:
    """(shape, first byte, byte behind the last) of the matrix."""
    try:
        entry: Any = json.loads(header)[_TENSOR]
        (n_rows, dim), (start, end) = entry["shape"], entry["data_offsets"]
        numbers = (n_rows, dim, start, end)
        if entry["dtype"] == "F32" and all(type(number) is int for number in numbers) and min(n_rows, dim) > 0:
            return (n_rows, dim), start, end
    except (ValueError, KeyError, TypeError):
        pass
    return None
