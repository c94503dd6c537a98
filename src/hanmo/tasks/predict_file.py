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
from hanmo.tasks.pipelines import Pipeline
from hanmo.tasks.tables import open_text_lines

__all__ = ["predict_file"]

_AT_ONCE = 2048


def predict_file(pipe: Pipeline, source: str | Path, out: str | Path, **options: Any) -> int:
    """Answer each line of a file.

    What is done lies in OUT.partial until all is done: stopped at any moment, the same call goes on after the last
    whole answer.

    Args:
        pipe: of any task.
        source: .jsonl with `text` (and `text_pair`) in each object, or a text on each line; also as .gz.
        out: .jsonl; each object of the source with `answer` beside what it had.
        options: for the pipeline.

    Returns:
        How many lines were answered by this call.

    Raises:
        DataError: for a line that is no text, or a partial file that belongs to another source.
        StorageError: if `out` cannot be written.
    """
    source, out = Path(source), Path(out)
    partial = out.with_name(f"{out.name}.partial")
    records = _records(source)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        done = _take_up(partial, records, source)
        with partial.open("ab") as file, progress("Predict", unit="texts") as bar:
            n = 0
            while batch := list(islice(records, _AT_ONCE)):
                texts = [
                    record["text"] if "text_pair" not in record else (record["text"], record["text_pair"])
                    for record in batch
                ]
                _append(file, batch, pipe.answers(texts, **options))
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


def _append(file: IO[bytes], batch: list[dict[str, Any]], answers: list[Any]) -> None:
    lines = [
        json.dumps(record | {"answer": answer}, ensure_ascii=False)
        for record, answer in zip(batch, answers, strict=True)
    ]
    file.write(("\n".join(lines) + "\n").encode())
    file.flush()
    os.fsync(file.fileno())


def _records(source: Path) -> Iterator[dict[str, Any]]:
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
        texts: list[Any] = [record.get(key, "") for key in ("text", "text_pair")] if isinstance(record, dict) else [""]
        if not all(isinstance(text, str) for text in texts) or not texts[0].strip():
            raise DataError('there is no string under "text"', where=where, remedy='Write {"text": "…"} on each line.')
        yield record


def _take_up(partial: Path, records: Iterator[dict[str, Any]], source: Path) -> int:
    """Pass over what an earlier call answered; cut off an answer that it did not finish."""
    if not partial.exists():
        return 0
    whole = done = 0
    with partial.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            record, answered = next(records, None), json.loads(line)
            answered.pop("answer", None)
            if record != answered:
                raise DataError(
                    f"line {done + 1} is the answer to another text than that of {source}", where=partial,
                    remedy="Delete it to begin again, or give the file it belongs to.",
                )  # fmt: skip
            whole += len(line)
            done += 1
        file.truncate(whole)
    return done
