"""Texts in batches of lines; a line is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hanmo.core.errors import DataError, FormatError
from hanmo.tokenizers.word_blocks import Source, read_blocks

__all__ = ["Batch", "read_batches", "split_lines"]

_BATCH_CHARACTERS = 2**20


@dataclass(frozen=True)
class Batch:
    """Some lines of a text."""

    lines: list[str]
    """Without their ends."""
    n_characters: int
    """Of the text that they are, line ends included."""
    n_bytes: int
    """The same in UTF-8."""


def split_lines(text: str) -> list[str]:
    """The lines of a text; only a line feed ends one, with or without a carriage return before it."""
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def read_batches(source: Source) -> Iterator[Batch]:
    """The lines of a file, of files, or of texts from Python, some at a time.

    Raises:
        DataError: if a file is missing or cannot be read, or an item is no string.
        FormatError: for what is not UTF-8, with the line; a damaged .gz.
    """
    if isinstance(source, str | Path):
        yield from _of_file(Path(source))
        return
    texts: list[str] = []
    size = 0
    for number, item in enumerate(source, 1):
        if isinstance(item, Path):
            yield from _of_file(item)
            continue
        if not isinstance(item, str):
            raise DataError(f"a sentence is a string here, not {type(item).__name__}", where=f"sentence {number}")
        texts.append(item)
        size += len(item)
        if size > _BATCH_CHARACTERS:
            yield _of_texts(texts)
            texts, size = [], 0
    if texts:
        yield _of_texts(texts)


def _of_texts(texts: list[str]) -> Batch:
    lines = [line for text in texts for line in split_lines(text)]
    n_bytes = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return Batch(lines, sum(map(len, texts)), n_bytes)


def _of_file(file: Path) -> Iterator[Batch]:
    rest = b""
    for block in read_blocks(file):
        whole, end, new_rest = block.data.rpartition(b"\n")
        data = rest + whole + end if end else b""
        rest = new_rest if end else rest + new_rest  # a line may be longer than a block
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            place = block.place(max(0, error.start - (len(data) - len(whole) - len(end))))
            raise FormatError(
                f"byte {data[error.start]:#04x} is not UTF-8 text", where=place, remedy="Convert it: iconv -t UTF-8."
            ) from error
        if text:
            yield Batch(split_lines(text), len(text), len(data))
    assert not rest, "a file ends with the end of a line: `read_blocks` adds it"
