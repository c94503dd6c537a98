"""A file of texts to a file of answers, however large, taken up again where it was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from hanmo.core.errors import DataError, FormatError, HanmoError, storage_error
from hanmo.core.files import read_json, write_json
from hanmo.core.progress import progress, say
from hanmo.tasks.json_objects import parse_json
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.text_files import open_text_lines

__all__ = ["predict_file"]


def predict_file(
    pipe: Pipeline, source: str | Path, out: str | Path, *, made_by: str | None = None, **options: Any
) -> int:
    """Answer each line of a file.

    What is done lies in OUT.partial until all is done: stopped at any moment, the same call goes on after the last
    whole answer.

    Args:
        pipe: of any task.
        source: .jsonl with what the pipeline reads in each object, or a text on each line; also as .gz.
        out: .jsonl; each object of the source with `answer` (`pipe.answer_key`) beside what it had.
        made_by: what stands for the model, so that answers of two are never in one file; not looked at if None.
        options: for the pipeline.

    Returns:
        How many lines were answered by this call.

    Raises:
        DataError: for a line that cannot be read or answered, with its number; for a partial file that belongs to another
            source, model or options.
        StorageError: if `out` cannot be written.
    """
    source, out, options = Path(source), Path(out), pipe.checked(options)
    partial = out.with_name(f"{out.name}.partial")
    records = _records(source, pipe)
    done = n = 0
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _check_origin(partial, {"made_by": made_by, "options": json.loads(json.dumps(options))})
        done = _take_up(partial, records, source, pipe.answer_key)
        with partial.open("ab") as file, progress("Predict", unit="texts") as bar:
            while batch := list(islice(records, pipe.at_once)):
                _append(file, batch, _answers(pipe, batch, options), pipe.answer_key)
                n += len(batch)
                bar.advance(len(batch))
        if not done + n:
            raise DataError("there is no text in this file", where=source)
        os.replace(partial, out)
        _origin(partial).unlink(missing_ok=True)
    except KeyboardInterrupt:
        say(f"Stopped. Texts answered: {done + n:,}, in {partial}; the same call goes on after them.")
        raise
    except HanmoError:
        raise
    except OSError as error:
        raise storage_error(error, out) from error
    return n


@dataclass(frozen=True, slots=True)
class _Record:
    """One line of the source."""

    values: dict[str, Any]
    where: str


def _origin(partial: Path) -> Path:
    """Where it is told what a partial file is made by."""
    return partial.with_name(f"{partial.name}.json")


def _check_origin(partial: Path, wanted: dict[str, Any]) -> None:
    """Tell it, or make sure that it is the same."""
    origin = _origin(partial)
    if not partial.exists() or not origin.exists():
        write_json(origin, wanted)
        return
    known = read_json(origin)
    if different := [key for key, value in wanted.items() if value is not None and known.get(key) not in (None, value)]:
        told = {"made_by": "another model", "options": "other options"}
        raise DataError(
            f"the answers here were begun with {' and '.join(told[key] for key in different)}", where=partial,
            remedy="Delete it to begin again, or go on with what it was begun with.",
        )  # fmt: skip


def _answers(pipe: Pipeline, batch: list[_Record], options: dict[str, Any]) -> list[Any]:
    items = [pipe.read(record.values) for record in batch]
    try:
        return pipe.answers(items, **options)
    except DataError:
        for item, record in zip(items, batch, strict=True):  # which line is it?
            try:
                pipe.answers([item], **options)
            except DataError as error:
                raise DataError(error.what, where=record.where, remedy=error.remedy) from error
        raise


def _append(file: IO[bytes], batch: list[_Record], answers: list[Any], key: str) -> None:
    lines = [
        json.dumps(record.values | {key: answer}, ensure_ascii=False)
        for record, answer in zip(batch, answers, strict=True)
    ]
    file.write(("\n".join(lines) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def _records(source: Path, pipe: Pipeline) -> Iterator[_Record]:
    suffixes = [suffix.lower() for suffix in source.suffixes]
    if table := next((suffix for suffix in (".csv", ".tsv", ".json") if suffix in suffixes), None):
        raise FormatError(
            f"{table} is not read here",
            where=source,
            remedy='Give .jsonl with "text" in each object, or .txt with a text on each line.',
        )
    is_json, blank = ".jsonl" in suffixes, 0
    for number, line in open_text_lines(source):
        if not line.strip():
            blank = blank or number
            continue
        if blank and not is_json:  # answers would no longer stand beside the lines
            raise DataError("an empty text", where=f"{source}:{blank}", remedy="Leave this line out.")
        where = f"{source}:{number}"
        values: Any = line
        if is_json:
            try:
                values = parse_json(line)
            except ValueError as error:
                raise DataError(f"not JSON ({error})", where=where) from error
        if isinstance(values, str):
            values = {"text": values}
        if isinstance(values, dict) and pipe.answer_key in values:
            raise DataError(
                f'this object has "{pipe.answer_key}" already, which would be lost', where=where,
                remedy="Call it otherwise.",
            )  # fmt: skip
        try:
            pipe.read(values)
        except DataError as error:
            raise DataError(error.what, where=where, remedy=error.remedy) from error
        if isinstance(values.get("text", " "), str) and not values.get("text", "x").strip():
            raise DataError("an empty text", where=where, remedy="Leave this line out.")
        yield _Record(values, where)


def _take_up(partial: Path, records: Iterator[_Record], source: Path, key: str) -> int:
    """Pass over what an earlier call answered; cut off an answer that it did not finish."""
    if not partial.exists():
        return 0
    whole = done = 0
    with partial.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            record, answered = next(records, None), json.loads(line)
            answered.pop(key, None)
            if record is None or record.values != answered:
                raise DataError(
                    f"line {done + 1} is the answer to another text than that of {source}", where=partial,
                    remedy="Delete it to begin again, or give the file it belongs to.",
                )  # fmt: skip
            whole += len(line)
            done += 1
        file.truncate(whole)
    return done
