"""A file of texts to a file of answers, however large, taken up again where it was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

from hanmo.core.errors import DataError, HanmoError, storage_error
from hanmo.core.progress import progress
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.tables import open_text_lines

__all__ = ["predict_file"]

_AT_ONCE = 2048


def predict_file(pipe: Pipeline, source: str | Path, out: str | Path, **options: Any) -> int:
    """Answer each line of a file.

    What is done lies in OUT.partial until all is done: stopped at any moment, the same call goes on after the last
    whole answer.

    Args:
        pipe: of any task.
        source: .jsonl with what the pipeline reads in each object, or a text on each line; also as .gz.
        out: .jsonl; each object of the source with `answer` (`pipe.answer_key`) beside what it had.
        options: for the pipeline.

    Returns:
        How many lines were answered by this call.

    Raises:
        DataError: for a line that is no text, or a partial file that belongs to another source.
        StorageError: if `out` cannot be written.
    """
    source, out = Path(source), Path(out)
    partial = out.with_name(f"{out.name}.partial")
    records = _records(source, pipe)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        done = _take_up(partial, records, source, pipe.answer_key)
        with partial.open("ab") as file, progress("Predict", unit="texts") as bar:
            n = 0
            while batch := list(islice(records, _AT_ONCE)):
                _append(file, batch, pipe.answers([pipe.read(record) for record in batch], **options), pipe.answer_key)
                n += len(batch)
                bar.advance(len(batch))
        if not done + n:
            raise DataError("there is no text in this file", where=source)
        os.replace(partial, out)
    except HanmoError:
        raise
    except OSError as error:
        raise storage_error(error, out) from error
    return n


def _append(file: IO[bytes], batch: list[dict[str, Any]], answers: list[Any], key: str) -> None:
    lines = [
        json.dumps(record | {key: answer}, ensure_ascii=False) for record, answer in zip(batch, answers, strict=True)
    ]
    file.write(("\n".join(lines) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def _records(source: Path, pipe: Pipeline) -> Iterator[dict[str, Any]]:
    is_json = ".jsonl" in [suffix.lower() for suffix in source.suffixes]
    for number, line in open_text_lines(source):
        if not line.strip():
            continue
        where = f"{source}:{number}"
        record: Any = {"text": line}
        if is_json:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"not JSON ({error})", where=where) from error
        if isinstance(record, dict) and pipe.answer_key in record:
            raise DataError(
                f'this object has "{pipe.answer_key}" already, which would be lost', where=where,
                remedy="Call it otherwise.",
            )  # fmt: skip
        try:
            pipe.read(record)
        except DataError as error:
            raise DataError(error.what, where=where, remedy=error.remedy) from error
        if isinstance(record.get("text", " "), str) and not record.get("text", "x").strip():
            raise DataError("an empty text", where=where, remedy="Leave this line out.")
        yield record


def _take_up(partial: Path, records: Iterator[dict[str, Any]], source: Path, key: str) -> int:
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
            if record != answered:
                raise DataError(
                    f"line {done + 1} is the answer to another text than that of {source}", where=partial,
                    remedy="Delete it to begin again, or give the file it belongs to.",
                )  # fmt: skip
            whole += len(line)
            done += 1
        file.truncate(whole)
    return done
