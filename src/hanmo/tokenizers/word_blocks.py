"""Sources of words as blocks of bytes: text files (also .gz), strings, lists of words.

Words stand between ASCII white space, as `bytes.split()` sees it: the ideographic space and its like are letters of
a word. A block never ends inside a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.files import open_unpacked

__all__ = ["BLOCK_BYTES", "Block", "Source", "read_blocks"]

Source = str | Path | Iterable[str] | Iterable[Path] | Iterable[list[str]]
"""A file, files, or sentences: an iterable of strings is sentences, one of `Path`s is files."""

BLOCK_BYTES = 4 * 2**20
"""Bytes read at a time."""

_NO_WORD = 2**20
"""Bytes without white space that are handed on as they are: the reader will say that this is no word."""

_SPACES = b" \t\r\x0b\x0c"
_BETWEEN, _END = b"\xff", b"\xfe"
"""Between words and behind sentences that come from Python: two bytes that UTF-8 never has."""


def _kinds(between: bytes, end: bytes) -> np.ndarray:
    kinds = np.zeros(256, np.uint8)
    kinds[list(between)] = 1
    kinds[list(end)] = 2
    return kinds


_OF_FILES = _kinds(_SPACES, b"\n")
_OF_STRINGS = _kinds(_SPACES + b"\n", _END)
_OF_LISTS = _kinds(_BETWEEN, _END)


@dataclass(frozen=True, eq=False)
class Block:
    """Some whole words of a source."""

    data: bytes
    kinds: np.ndarray
    """(256,) uint8: 0 for a byte of a word, 1 for one between words, 2 for one that ends a sentence."""
    file: Path | None
    """None for sentences from Python."""
    start: int
    """Bytes of the file, or sentences, before this block."""

    def place(self, position: int) -> str:
        """`file:line` or `sentence 12` of a byte of this block."""
        if self.file is None:
            return f"sentence {self.start + self.data[:position].count(_END) + 1}"
        line, left = 1, self.start + position
        with open_unpacked(self.file) as stream:
            while left > 0 and (data := stream.read(min(left, BLOCK_BYTES))):
                line += data.count(b"\n")
                left -= len(data)
        return f"{self.file}:{line}"


def read_blocks(source: Source) -> Iterator[Block]:
    """The blocks of a source, in its order; every sentence has its end.

    Raises:
        DataError: if a file is missing or cannot be read, or a sentence is neither a string nor a list of strings.
        FormatError: for a damaged .gz.
    """
    if isinstance(source, str | Path):
        yield from _blocks_of_file(Path(source))
        return
    items: list[bytes] = []
    size = start = 0
    kinds = _OF_LISTS
    for number, item in enumerate(source):
        if isinstance(item, Path):
            yield from _blocks_of_file(item)
            continue
        new_kinds, data = _encode(item, number)
        if items and (size >= BLOCK_BYTES or new_kinds is not kinds):
            yield Block(b"".join(items), kinds, None, start)
            items, size, start = [], 0, number
        kinds = new_kinds
        items.append(data)
        size += len(data)
    if items:
        yield Block(b"".join(items), kinds, None, start)


def _encode(sentence: Any, number: int) -> tuple[np.ndarray, bytes]:
    try:
        if isinstance(sentence, str):
            return _OF_STRINGS, sentence.encode() + _END
        return _OF_LISTS, _BETWEEN.join([word.encode() for word in sentence]) + _END
    except UnicodeEncodeError as error:
        raise DataError(
            "half of a surrogate pair, which is no text",
            where=f"sentence {number + 1}",
            remedy="Repair the text with hanmo.text.repair first.",
        ) from error
    except (AttributeError, TypeError) as error:
        raise DataError(
            f"a sentence is a string or a list of words, not {type(sentence).__name__}", where=f"sentence {number + 1}"
        ) from error


def _blocks_of_file(file: Path) -> Iterator[Block]:
    with open_unpacked(file) as stream:
        yield from _cut(stream, file)


def _cut(stream: IO[bytes], file: Path) -> Iterator[Block]:
    start, rest, last = 0, b"", b""
    while data := stream.read(BLOCK_BYTES):
        data = rest + data
        if start == 0 and data.startswith(b"\xef\xbb\xbf"):  # byte order mark of editors on Windows
            start, data = 3, data[3:]
        cut = data.rfind(b"\n") + 1 or max(data.rfind(space) for space in _SPACES) + 1
        if not cut and len(data) > _NO_WORD:
            cut = len(data)
        if cut:
            yield Block(data[:cut], _OF_FILES, file, start)
            start, last = start + cut, data[cut - 1 : cut]
        rest = data[cut:]
    if rest or last not in (b"", b"\n"):
        yield Block(rest + b"\n", _OF_FILES, file, start)
