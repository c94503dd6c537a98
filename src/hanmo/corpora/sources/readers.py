"""One reader per kind of text file: bytes to texts, in bounded memory.

Files up to `BLOCK_BYTES` are decoded whole, with every check of `hanmo.text.encoding`. A larger file is decoded
as a stream in the encoding of its first block; invalid sequences further on are removed.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import statistics
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.compression import problem_of
from hanmo.corpora.sources.gutenberg import find_header, until_licence
from hanmo.corpora.sources.pieces import cut_stream
from hanmo.corpora.sources.tweets import normalize_tweet
from hanmo.text.encoding import decode, detect_encoding

__all__ = [
    "BLOCK_BYTES",
    "Text",
    "cut_into_texts",
    "read_csv",
    "read_json",
    "read_jsonl",
    "read_plain",
    "read_python",
    "read_tsv",
    "read_whole",
]

BLOCK_BYTES = 16 * 2**20
"""Bytes read at a time."""
_MAX_LINE_CHARS = 8_000_000
"""Longest row of a .jsonl or .csv file, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text found in a file, before it has become a document."""

    text: str
    part: str = ""
    """Which part of the file: "" (all of it), "3" (row, line or piece 3)."""
    alone: bool = True
    """Whether it stands for itself, or belongs together with the other texts of its file (pieces of one book)."""
    meta: dict[str, Any] = field(default_factory=dict)


class _Blocks:
    """Decoded blocks of a byte stream; `encoding` is known once the first block is there."""

    def __init__(self, stream: IO[bytes]):
        self.stream, self.encoding = stream, ""
        self.first = self._start()

    def _start(self) -> str:
        data = self.stream.read(BLOCK_BYTES)
        if len(data) < BLOCK_BYTES:
            if self.is_cut:
                data = data[: data.rfind(b"\n") + 1] or data  # without half a character at the end
            decoded = decode(data)
            self.encoding, self.decoder = decoded.encoding, None
            return decoded.text
        self.encoding = "utf-8" if (name := detect_encoding(data)) == "ascii" else name
        self.decoder = codecs.getincrementaldecoder("cp950" if name == "big5" else self.encoding)("replace")
        return self.decoder.decode(data).replace("\ufffd", "").removeprefix("\ufeff")

    @property
    def is_cut(self) -> bool:
        """Whether the file ended before its end, so that its last line may be half a line."""
        return problem_of(self.stream) is not None

    def __iter__(self) -> Iterator[str]:
        yield self.first
        self.first = ""
        if self.decoder is not None:
            while data := self.stream.read(BLOCK_BYTES):
                yield self.decoder.decode(data).replace("\ufffd", "")
            yield self.decoder.decode(b"", final=True).replace("\ufffd", "")


def read_plain(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read a .txt file: one document, one per line, or the pieces of a book (`CorpusSettings.lines`).

    A book of Project Gutenberg comes without its header and licence.
    """
    blocks = _Blocks(stream)
    meta = {"encoding": blocks.encoding}
    header = find_header(blocks.first) if settings.lines != "document" else None
    if header is not None:
        book = until_licence(blocks, header.end)
        yield from cut_into_texts(book, settings.piece_chars, settings, meta | header.meta)
        return
    if settings.lines == "document" or (settings.lines == "auto" and _lines_are_documents(blocks.first)):
        for number, line in _lines(blocks):
            if line is None:
                yield Skipped(source=f"{name}:{number}", reason="line too long")
            elif line.strip():
                yield Text(text=line, part=str(number), meta=meta)
        return
    yield from cut_into_texts(blocks, settings.piece_chars, settings, meta)


def _lines_are_documents(text: str) -> bool:
    """Whether each line is a document: no blank lines, no indents, long lines of very different lengths.

    Hard-wrapped books have lines of nearly one length; books with a line per paragraph indent it or leave blank
    lines between.
    """
    lines = text[:2_000_000].split("\n")[:5_000]
    if len(lines) > 1:
        lines.pop()  # the end of the sample, or the nothing behind the last line end
    lengths = sorted(len(line) for line in lines if line.strip())
    if len(lengths) < 20 or len(lengths) < 0.99 * len(lines):
        return False
    indented = sum(line[:1] in " \t\u3000" for line in lines)
    spread = lengths[len(lengths) * 19 // 20] / max(statistics.median(lengths), 1)
    return statistics.median(lengths) >= 60 and indented < 0.05 * len(lines) and spread >= 1.25


def cut_into_texts(blocks: Iterable[str], size: int, settings: CorpusSettings, meta: dict[str, Any]) -> Iterator[Text]:
    """Texts of about `size` characters from a text that arrives in blocks; one text where it is no longer."""
    pieces = cut_stream(blocks, piece_chars=size, max_chars=settings.max_document_chars)
    first = next(pieces, "")
    second = next(pieces, None)
    if second is None:
        yield Text(text=first, meta=meta)
        return
    for number, piece in enumerate(itertools.chain((first, second), pieces), 1):
        yield Text(text=piece, part=str(number), alone=False, meta=meta)


def read_whole(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read a file that is one document (.md, .rst); only one longer than the limit is cut."""
    blocks = _Blocks(stream)
    yield from cut_into_texts(blocks, settings.max_document_chars * 2 // 3, settings, {"encoding": blocks.encoding})


def read_python(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read Python source in the encoding that it declares (PEP 263), else in the one that fits."""
    data = stream.read(BLOCK_BYTES)
    if len(data) == BLOCK_BYTES:
        yield Skipped(source=name, reason="Python source too large")
        return
    try:
        name_in_file, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(name_in_file)
        declared = codecs.lookup(name_in_file).name.removesuffix("-sig")
        if "\0" in text:
            raise SyntaxError("NUL")
    except (SyntaxError, UnicodeDecodeError, LookupError):
        decoded = decode(data)
        text, declared = decoded.text, decoded.encoding
    size = settings.max_document_chars * 2 // 3
    yield from cut_into_texts([text], size, settings, {"encoding": declared})


def read_jsonl(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read JSON Lines: the string under `settings.text_key` of each row, or the list of lines (verse); rows without are
    skipped, by line."""
    blocks = _Blocks(stream)
    for number, line in _lines(blocks):
        where = f"{name}:{number}"
        if line is None:
            yield Skipped(source=where, reason="row too long")
            continue
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield Skipped(source=where, reason="row is not valid JSON")
            continue
        yield _object_text(row, number, name, blocks.encoding, settings)


def read_json(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read a JSON list of objects, each as a row of `read_jsonl`, by its number from 1."""
    data = stream.read(BLOCK_BYTES)
    if len(data) == BLOCK_BYTES:
        yield Skipped(source=name, reason="JSON list too large; as .jsonl it would be read in any size")
        return
    decoded = decode(data)
    try:
        rows = json.loads(decoded.text)
    except (ValueError, RecursionError):
        yield Skipped(source=name, reason="not valid JSON")
        return
    if not isinstance(rows, list):
        yield Skipped(source=name, reason=f"no JSON list but {type(rows).__name__}")
        return
    for number, row in enumerate(rows, 1):
        yield _object_text(row, number, name, decoded.encoding, settings)


def _object_text(row: Any, number: int, name: str, encoding: str, settings: CorpusSettings) -> Text | Skipped:
    """The text of one object: the string under the key, or the lines that a list of strings there holds."""
    key, where = settings.text_key, f"{name}:{number}"
    if not isinstance(row, dict):
        return Skipped(source=where, reason=f"row is no JSON object but {type(row).__name__}")
    text = row.get(key)
    if isinstance(text, list) and text and all(isinstance(line, str) for line in text):
        text = "\n".join(text)
    if not isinstance(text, str):
        problem = "is missing" if key not in row else "is no string"
        return Skipped(source=where, reason=f"{key!r} {problem}; found keys {sorted(map(str, row))[:8]}")
    inner = row.get("meta")
    group = inner.get("group") if isinstance(inner, dict) else None
    meta: dict[str, Any] = {"encoding": encoding}
    if isinstance(group, str):
        meta["group"] = f"{name}:{group}"
    if isinstance(row.get("id"), str | int):
        meta["original_id"] = row["id"]
    return Text(text=normalize_tweet(text) if settings.normalize_tweets else text, part=str(number), meta=meta)


def read_csv(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read a .csv file: the column named `settings.text_key`, else the only, else the longest column."""
    blocks = _Blocks(stream)
    head = blocks.first[:100_000]
    delimiter = max(",\t;|", key=lambda mark: head.split("\n", 1)[0].count(mark))
    yield from _read_table(blocks, name, settings, delimiter, csv.QUOTE_MINIMAL)


def read_tsv(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read a .tsv file as a .csv one; a quotation mark in it is a quotation mark (IANA text/tab-separated-values)."""
    yield from _read_table(_Blocks(stream), name, settings, "\t", csv.QUOTE_NONE)


def _read_table(
    blocks: _Blocks, name: str, settings: CorpusSettings, delimiter: str, quoting: Literal[0, 3]
) -> Iterator[Text | Skipped]:
    overlong: list[int] = []

    def lines() -> Iterator[str]:
        for number, line in _lines(blocks, keep_ends=True):
            if line is None:
                overlong.append(number)
            yield line or ""

    old_limit = csv.field_size_limit(_MAX_LINE_CHARS)
    try:
        reader = csv.reader(lines(), delimiter=delimiter, quoting=quoting)
        rows: list[tuple[int, list[str]]] = []
        column: int | None = None
        while True:
            start = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield Skipped(source=f"{name}:{start}", reason=f"row is not valid CSV ({error})")
                continue
            yield from (Skipped(source=f"{name}:{number}", reason="row too long") for number in overlong)
            overlong.clear()
            if column is None:
                if row is not None and len(rows) < 100:
                    rows.append((start, row))
                    continue
                column, skip_first = _text_column([cells for _, cells in rows], settings.text_key)
                for number, cells in rows[1 if skip_first else 0 :]:
                    yield from _row_text(cells, column, f"{name}:{number}", blocks.encoding, settings)
            if row is None:
                return
            yield from _row_text(row, column, f"{name}:{start}", blocks.encoding, settings)
    finally:
        csv.field_size_limit(old_limit)


def _row_text(
    cells: list[str], column: int, where: str, encoding: str, settings: CorpusSettings
) -> Iterator[Text | Skipped]:
    if len(cells) > column:
        text = normalize_tweet(cells[column]) if settings.normalize_tweets else cells[column]
        yield Text(text=text, part=where.rpartition(":")[2], meta={"encoding": encoding})
    elif cells:
        yield Skipped(source=where, reason="row has no text column")


def _text_column(rows: list[list[str]], text_key: str) -> tuple[int, bool]:
    """Index of the text column, and whether the first row is a header."""
    if not rows:
        return 0, False
    header = [cell.strip().lstrip("\ufeff") for cell in rows[0]]
    if text_key in header:
        return header.index(text_key), True
    columns = range(len(header))
    # Distinct values only: a column of a few long labels is no text.
    sums = [sum(map(len, {row[column] for row in rows[1:] if len(row) > column})) for column in columns]
    column = max(columns, key=lambda item: sums[item], default=0)
    if len(rows) < 2 or not header:
        return column, False
    mean = sum(len(row[column]) for row in rows[1:] if len(row) > column) / (len(rows) - 1)
    is_header = all(len(cell) <= 40 and not cell.replace(".", "").isdigit() for cell in header)
    return column, is_header and len(set(header)) == len(header) and len(header[column]) < 0.5 * mean


def _lines(blocks: _Blocks, *, keep_ends: bool = False) -> Iterator[tuple[int, str | None]]:
    """Lines with their numbers, over block borders; None for one that is too long to hold."""
    number, rest, overlong = 1, "", False
    for block in blocks:
        lines = (rest + block).split("\n")
        rest = lines.pop()
        for line in lines:
            overlong = overlong or len(line) > _MAX_LINE_CHARS
            yield number, None if overlong else line + "\n" if keep_ends else line
            number, overlong = number + 1, False
        if len(rest) > _MAX_LINE_CHARS:
            rest, overlong = "", True
    if (rest or overlong) and not blocks.is_cut:
        yield number, None if overlong else rest
