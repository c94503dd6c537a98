"""Vectors in files: word2vec text and binary, GloVe text, and hanmo's own form."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, cast, get_args

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.progress import say
from hanmo.vectors.binary_form import read_binary, write_binary
from hanmo.vectors.own_form import check_own_folder, is_own_form, read_own, read_own_dim, write_own
from hanmo.vectors.reading import open_bytes
from hanmo.vectors.text_form import read_header, read_text, write_text
from hanmo.vectors.word_vectors import WordVectors

__all__ = [
    "Form",
    "check_form",
    "check_out",
    "detect_form",
    "form_of_name",
    "read_dim",
    "read_vectors",
    "write_vectors",
]

Form = Literal["hanmo", "word2vec", "word2vec-binary", "glove"]

_SUFFIXES: dict[str, Form] = {".txt": "word2vec", ".vec": "word2vec", ".bin": "word2vec-binary"}
_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character of UTF-8 that is longer than a byte."""
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\xff]")
_LEAST_NO_TEXT = 0.25
"""Share of the bytes of binary numbers that are no text, at least. Of random numbers it is over a half, of 0, 1 or 0.5
three quarters or more, in text the odd one: it has to be a number or two whose bytes are all letters to be mistaken."""


def check_form(form: str | None) -> Form | None:
    """The form of this name, or None.

    Raises:
        ConfigError: for an unknown one.
    """
    if form is None:
        return None
    if form not in get_args(Form):
        raise ConfigError(f"unknown form {form!r}", where="form", remedy=f"Known forms: {', '.join(get_args(Form))}.")
    return cast("Form", form)


def check_out(path: str | Path, form: str | None = None) -> Form:
    """The form in which vectors are to be written at `path`, by `form` or else by its name.

    Raises:
        ConfigError: for an unknown form, a name of a packed file, a folder where a file is to be, or a folder of
            something else, which is not replaced.
    """
    path = Path(path)
    chosen = check_form(form) or form_of_name(path)
    if path.suffix.lower() == ".gz":
        raise ConfigError(
            "vectors are not written packed", where=path, remedy=f"Write {path.stem} and pack it: gzip {path.stem}"
        )
    if chosen == "hanmo":
        check_own_folder(path)
    elif path.is_dir():
        raise ConfigError(f"this is a folder, and {chosen} is a file", where=path, remedy="Choose another name.")
    return chosen


def form_of_name(path: str | Path) -> Form:
    """The form in which a file of this name is written: .txt, .vec, .bin, and hanmo's own for any other name."""
    return _SUFFIXES.get(Path(path).suffix.lower(), "hanmo")


def detect_form(path: str | Path) -> Form:
    """The form of what is at `path`, told by its first bytes.

    Raises:
        DataError: if there is nothing, or a folder of something else.
    """
    path = Path(path)
    if path.is_dir():
        if not is_own_form(path):
            raise DataError("this folder holds no vectors: there is no words.json in it", where=path)
        return "hanmo"
    with open_bytes(path) as (stream, _):
        header = read_header(stream.readline(4096).removeprefix(b"\xef\xbb\xbf"))
        if header is None:
            return "glove"
        return "word2vec-binary" if _is_binary(stream.read(4096), header[1]) else "word2vec"


def _is_binary(start: bytes, dim: int) -> bool:
    """Whether the first bytes behind a header are binary rows, told by the bytes where their numbers would stand.

    Words are not looked at: in either form they are text, and of short rows the larger part.
    """
    start = _CHARACTER.sub(lambda character: b"a" * len(character[0]), start)
    n, n_no_text, behind = 0, 0, 0
    while space := start.find(b" ", behind) + 1:
        behind = space + 4 * dim
        n += len(start[space:behind])
        n_no_text += len(_NO_TEXT.findall(start[space:behind]))
    return n > 0 and n_no_text >= _LEAST_NO_TEXT * n


def read_dim(path: str | Path) -> int:
    """The length of the vectors at `path`, from the first bytes.

    Raises:
        DataError: if there is nothing, or it cannot be read.
        FormatError: if it begins as no form of vectors does.
    """
    path = Path(path)
    form = detect_form(path)
    if form == "hanmo":
        return read_own_dim(path)
    with open_bytes(path) as (stream, _):
        line = stream.readline().removeprefix(b"\xef\xbb\xbf")
    header = None if form == "glove" else read_header(line)
    dim = header[1] if header else len(line.split()) - 1
    if dim < 1:
        raise FormatError("this is no file of word vectors", where=f"{path}:1")
    return dim


def read_vectors(
    path: str | Path,
    form: Form | None = None,
    *,
    mmap: bool = False,
    limit: int | None = None,
    skip_bad: bool = False,
) -> WordVectors:
    """Read vectors of any form; text and binary also as .gz.

    Args:
        path: a file, or a folder of hanmo's own form.
        form: what it is; told by its first bytes if not given.
        mmap: leave the matrix on disk (hanmo's own form only).
        limit: read only the first so many words (files only).
        skip_bad: leave out bad rows and say how many (files only).

    Raises:
        ConfigError: for an option that this form cannot have.
        DataError: if it cannot be read, or a number in hanmo's own form is not finite.
        FormatError: if it is not what it says it is, with file and line or row.
    """
    path = Path(path)
    form = check_form(form) or detect_form(path)
    if form == "hanmo":
        if limit is not None or skip_bad:
            raise ConfigError("'limit' and 'skip_bad' are for files of other forms", where=path)
        return read_own(path, mmap=mmap)
    if mmap:
        raise ConfigError(
            "the rows of this form are not evenly spaced and cannot be memory-mapped",
            where=path,
            remedy=f"Convert it once: hanmo vectors convert {path} {path.with_suffix('')}",
        )
    if limit is not None and limit < 1:
        raise ConfigError(f"limit = {limit} leaves no words", where="limit")
    if form == "word2vec-binary":
        return read_binary(path, limit=limit, skip_bad=skip_bad)
    return read_text(path, header=form == "word2vec", limit=limit, skip_bad=skip_bad)


def write_vectors(vectors: WordVectors, path: str | Path, form: Form | None = None) -> None:
    """Write vectors, in one step: a reader sees the old file, the new file, or none.

    Args:
        vectors: what to write.
        path: a file, or a folder for hanmo's own form.
        form: default by the suffix (`form_of_name`).

    Raises:
        ConfigError: for what cannot be written there (`check_out`).
        DataError: for a word with white space in it, which only hanmo's own form can hold, or a number that is not
            finite.
        StorageError: if the disk is full or may not be written; nothing is left behind.
    """
    path = Path(path)
    form = check_out(path, form)
    if vectors.subwords is not None and form != "hanmo":
        say(f"{path}: this form holds no sub-words; words that were not met will have no vector.")
    if form == "hanmo":
        write_own(vectors, path)
    elif form == "word2vec-binary":
        write_binary(vectors, path)
    else:
        write_text(vectors, path, header=form == "word2vec")
