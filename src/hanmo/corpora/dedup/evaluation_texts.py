"""The texts of evaluation sets, whatever their format: every string in their files.

Questions, answers, contexts and choices lie under names of all sorts, nested in SQuAD's JSON and flat elsewhere. No list of keys
would be complete, so every string value counts; what is too short to say anything is left out by who uses them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hanmo.core.errors import DataError, FormatError, MissingExtraError
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.compression import open_stream, problem_of
from hanmo.corpora.sources.files import SourceFile
from hanmo.text.encoding import decode

__all__ = ["list_evaluation_files", "read_strings"]

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_MAX_CELL_CHARS = 8_000_000


def list_evaluation_files(path: str | Path) -> list[Path]:
    """The file itself, or all files of a kind that is read in a folder and those below it, in order.

    Raises:
        DataError: if there is none.
    """
    path = Path(path)
    found = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    known = [file for file in found if SourceFile(file, file.name).kind in _KINDS]
    if not known or not known[0].is_file():
        raise DataError(
            "no evaluation texts here",
            where=path,
            remedy=f"Check the path; known kinds: {', '.join(_KINDS)}, each also as .gz, .bz2 or .xz.",
        )
    return known


def read_strings(path: str | Path) -> Iterator[str]:
    """All strings of a file that may be texts: values of .json and .jsonl, cells of .csv, .tsv and .parquet, paragraphs of .txt.

    A paragraph ends at a blank line; in a file without blank lines every line is one.

    Raises:
        DataError: if the file cannot be read.
        FormatError: if any of it is not what its name says: a set that is checked against half is not checked.
    """
    path = Path(path)
    kind = SourceFile(path, path.name).kind
    if kind not in _KINDS:
        raise DataError(f"unknown kind of evaluation file {kind!r}", where=path, remedy=f"Known: {', '.join(_KINDS)}.")
    try:
        with open_stream(path, CorpusSettings()) as stream:
            data = stream.read()
            if (problem := problem_of(stream)) is not None:
                raise FormatError(f"cannot be read to its end ({problem})")
        yield from _KINDS[kind](data)
    except FormatError as error:
        raise FormatError(error.what, where=path, remedy="Get the file again, or leave it out.") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=path, remedy="Check the path.") from error


def _read_json(data: bytes) -> Iterator[str]:
    """One value, or many one after another, on a line each or on several."""
    text = decode(data).text
    decoder, place = json.JSONDecoder(), 0
    while (found := re.compile(r"\s*").match(text, place)) and found.end() < len(text):
        try:
            value, place = decoder.raw_decode(text, found.end())
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, found.end()) + 1
            raise FormatError(f"not valid JSON from line {line} on ({error})") from error
        yield from _strings_in(value)


def _strings_in(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, list):
            waiting += reversed(one)


def _read_csv(data: bytes) -> Iterator[str]:
    yield from _cells(data, ",", quoted=True)


def _read_tsv(data: bytes) -> Iterator[str]:
    yield from _cells(data, "\t", quoted=False)


def _cells(data: bytes, delimiter: str, *, quoted: bool) -> Iterator[str]:
    old_limit = csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        rows = csv.reader(
            io.StringIO(decode(data).text, newline=""),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        )
        for row in rows:
            yield from row
    except csv.Error as error:
        raise FormatError(f"not a valid table ({error})") from error
    finally:
        csv.field_size_limit(old_limit)


def _read_parquet(data: bytes) -> Iterator[str]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "corpus", "Reading .parquet") from error
    try:
        for batch in pyarrow.parquet.ParquetFile(io.BytesIO(data)).iter_batches(batch_size=1_000):
            yield from _strings_in(batch.to_pylist())
    except pyarrow.ArrowException as error:
        raise FormatError(f"not a valid Parquet file ({error})") from error


def _read_plain(data: bytes) -> Iterator[str]:
    text = decode(data).text.replace("\r\n", "\n")
    yield from _BLANK_LINES.split(text) if _BLANK_LINES.search(text.strip()) else text.split("\n")


_KINDS: dict[str, Callable[[bytes], Iterator[str]]] = {
    ".json": _read_json,
    ".jsonl": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".txt": _read_plain,
}
