"""Labelled examples as people keep them: TSV, CSV, JSON, a folder with one folder a class. Also as .gz."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hanmo.core.errors import DataError, FormatError
from hanmo.tasks.json_objects import read_objects
from hanmo.tasks.repeated_ids import id_name, say_repeated_ids
from hanmo.tasks.text_files import decode_file, read_text_file, say_encodings

__all__ = [
    "Column",
    "Row",
    "problems_error",
    "read_number",
    "read_table",
    "usable",
]

Column = str | int
"""A column by its name in the first line, or by its number from 1 in a file without names."""

_SHOWN = 10
csv.field_size_limit(1 << 30)  # Python's own limit of 131,072 characters is less than a chapter
_Example = TypeVar("_Example")


@dataclass(frozen=True, slots=True)
class Row:
    """What was asked for of one line."""

    values: dict[str, Any]
    """By the names that were asked for; strings, or what JSON holds."""
    where: str
    """File and line."""


def read_table(path: str | Path, columns: Mapping[str, Column]) -> list[Row]:
    """Read some columns of a file, or of a folder of classes.

    .tsv and .txt are cut at tabs and nothing else: quotes are text, as GLUE has them. .csv follows RFC 4180. .jsonl and
    .json have an object on each line, or are one list of objects. All may end in .gz. In a folder, each file is a text whose label is the folder it is in;
    its columns are "text" and "label".

    Args:
        path: the file or folder.
        columns: what to call a column → which one it is. Names mean that the first line has names; a byte-order mark
            before them is no part of them. Numbers mean that every line is an example.

    Returns:
        Rows in the order of the file; lines without anything are left out.

    Raises:
        DataError: if there is no such file, no row, or a column is missing in one (all are named, the first ten with
            their line).
        FormatError: for a file that is not what its name says.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, columns)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")
    match kind:
        case ".tsv" | ".txt":
            rows = _from_lists(_tabs(read_text_file(path)), path, columns)
        case ".csv":
            rows = _from_lists(_commas(read_text_file(path), path), path, columns)
        case ".jsonl" | ".json":
            rows = _from_objects(path, columns)
        case _:
            raise FormatError(
                f"no table that can be read ({kind or 'no ending'})", where=path,
                remedy="Give .tsv, .csv or .jsonl (each also as .gz), or a folder with one folder a class.",
            )  # fmt: skip
    if not rows:
        raise DataError("there is no example in this file", where=path)
    return rows


def problems_error(what: str, problems: Sequence[str], remedy: str) -> DataError:
    """One error for many places: how many, and the first ten."""
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return DataError(f"{what}: {'; '.join(problems[:_SHOWN])}{more}", remedy=remedy)


def usable(examples: list[_Example], problems: Sequence[str], *, remedy: str, where: object) -> list[_Example]:
    """The examples of a file, if all of it can be used.

    Raises:
        DataError: if there are problems, or no example.
    """
    if problems:
        raise problems_error(f"{len(problems)} examples cannot be used", problems, remedy)
    if not examples:
        raise DataError("no example is left", where=where)
    return examples


def read_number(value: Any, what: str) -> float:
    """A finite number as a file has it.

    Raises:
        ValueError: if it is none; calls it `what`.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"the {what} {value!r} is no number") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"the {what} {repr(value)[:20]} is not finite")
    return number


def _tabs(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.removesuffix("\r"):
            yield number, line.split("\t")


def _commas(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    before = 0
    try:
        for fields in reader:
            if fields:
                yield before + 1, fields
            before = reader.line_num
    except csv.Error as error:
        raise FormatError(
            f"not a CSV file ({error})", where=f"{path}:{before + 1}",
            remedy="Quotes inside a field are doubled in CSV; a file with literal quotes and tabs should end in .tsv.",
        ) from error  # fmt: skip


def _from_lists(lines: Iterator[tuple[int, list[str]]], path: Path, columns: Mapping[str, Column]) -> list[Row]:
    first: list[str] | None = None
    if any(isinstance(column, str) for column in columns.values()):
        _, first = next(lines, (0, None))
    places = {name: _place(column, first, path) for name, column in columns.items()}
    own_id = id_name(first or (), but=columns.values())
    place_of_id = None if first is None or own_id is None else first.index(own_id)
    rows, ids, problems = [], [], []
    for number, fields in lines:
        if first is not None and len(fields) != len(first):
            problems.append(f"line {number} has {len(fields)} columns, the first {len(first)}")
        elif len(fields) <= max(places.values()):
            problems.append(f"line {number} has {len(fields)} columns, asked for {max(places.values()) + 1}")
        else:
            rows.append(Row({name: fields[place] for name, place in places.items()}, f"{path}:{number}"))
            if place_of_id is not None:
                ids.append((fields[place_of_id], f"{path}:{number}"))
    if problems:
        raise problems_error(
            f"{path}: lines of other lengths", problems, "Mend these lines; none is left out silently."
        )
    say_repeated_ids(ids, path)
    return rows


def _place(column: Column, first: Sequence[str] | None, path: Path) -> int:
    if isinstance(column, int):
        if column < 1:
            raise DataError(f"column {column}: columns are counted from 1", where=path)
        return column - 1
    names = [name.strip().removeprefix("\ufeff") for name in first or ()]
    if column not in names:
        raise DataError(
            f"there is no column {column!r} (the first line has {', '.join(map(repr, names)) or 'nothing'})",
            where=f"{path}:1",
            remedy="Give the name of a column, or its number (from 1) if the first line is an example.",
        )
    return names.index(column)


def _from_objects(path: Path, columns: Mapping[str, Column]) -> list[Row]:
    rows: list[Row] = []
    ids: list[tuple[Any, str]] = []
    problems: list[str] = []
    for values, where in read_objects(path, problems):
        keys = {name: str(column) for name, column in columns.items()}
        if missing := [key for key in keys.values() if key not in values]:
            problems.append(f"{where}: no {', '.join(missing)} (found {', '.join(sorted(values)[:8])})")
        else:
            rows.append(Row({name: values[key] for name, key in keys.items()}, where))
            if (own_id := id_name(values, but=columns.values())) is not None:
                ids.append((values[own_id], where))
    if problems:
        raise problems_error("rows that cannot be used", problems, "Mend these lines, or name other columns.")
    say_repeated_ids(ids, path)
    return rows


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _read_folder(path: Path, columns: Mapping[str, Column]) -> list[Row]:
    unknown = [str(column) for column in columns.values() if column not in ("text", "label")]
    if unknown:
        raise DataError(
            f"a folder of classes has no column {unknown[0]!r}", where=path, remedy='It has "text" and "label".'
        )
    rows, files = [], []
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        for file in sorted(entry for entry in folder.rglob("*") if entry.is_file() and not _is_hidden(entry, folder)):
            files.append(decode_file(file))
            values = {"text": files[-1].text.strip(), "label": folder.name}
            rows.append(Row({name: values[str(column)] for name, column in columns.items()}, str(file)))
    if not rows:
        raise DataError(
            "this folder holds no folder with texts", where=path, remedy="Put the texts of each class into one folder."
        )
    say_encodings(path, files)
    return rows
