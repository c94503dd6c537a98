"""Objects of a JSON file: one on each line, or a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hanmo.core.errors import FormatError
from hanmo.tasks.text_files import read_text_file

__all__ = ["parse_json", "read_objects"]


def parse_json(text: str) -> Any:
    r"""What a JSON text holds, all of whose strings are text.

    Raises:
        ValueError: if it is no JSON, or holds half of a surrogate pair (`"\ud83d"`), which no file and no tokenizer takes.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"too deep ({error})") from error
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            raise ValueError(f"{half} is half of a surrogate pair, which is no text") from error
    return value


def read_objects(path: Path, problems: list[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each object of JSON Lines, or of one JSON list, with its place; what is none is named in `problems`.

    Raises:
        DataError: if the file cannot be read.
        FormatError: if it is no text, or begins like a list and is no JSON.
    """
    for value, where in _values(read_text_file(path), path, problems):
        if isinstance(value, dict):
            yield value, where
        else:
            problems.append(f"{where}: a {type(value).__name__}, not an object")


def _values(text: str, path: Path, problems: list[str]) -> Iterator[tuple[Any, str]]:
    if text.lstrip("\ufeff \t\r\n").startswith("["):
        try:
            values = parse_json(text)
        except ValueError as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else None
            raise FormatError(f"not JSON ({error})", where=path if line is None else f"{path}:{line}") from error
        yield from ((value, f"{path}: [{number}]") for number, value in enumerate(values))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = parse_json(line)
            except ValueError as error:
                problems.append(f"{path}:{number}: not JSON ({error})")
            else:
                yield value, f"{path}:{number}"
