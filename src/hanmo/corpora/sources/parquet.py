"""Parquet files (.parquet): the text column, some rows at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from hanmo.core.errors import FormatError, MissingExtraError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.readers import Text
from hanmo.corpora.sources.seekable import seekable
from hanmo.corpora.sources.tweets import normalize_tweet

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

__all__ = ["read_parquet"]

_ROWS = 64
"""Rows that are held at a time."""
_SAMPLE_ROWS = 100
_BUFFER_BYTES = 2**20
_MAX_FOOTER_BYTES = 32 * 2**20
"""Largest table of contents, in bytes."""
_MAX_GROUP_BYTES = 2 * 2**30
"""Largest text column of a row group, in bytes once decompressed, as the file says; only a page of it is held."""
_MAGIC = b"PAR1"


def read_parquet(stream: IO[bytes], name: str, settings: CorpusSettings) -> Iterator[Text | Skipped]:
    """Read the rows of a Parquet file: the string column named `settings.text_key`, else the longest string column.

    `id` and `meta.group` mean what they mean in .jsonl. Rows without a text and too long ones are skipped, by number.

    Raises:
        FormatError: if it is damaged, encrypted, no Parquet file, or has no column of strings.
        MissingExtraError: if pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "corpus", "reading .parquet") from error
    with seekable(stream, settings.max_file_bytes) as file:
        _check_footer(file)
        try:
            table = parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
            column = _text_column(table, settings.text_key)
            _check_groups(table, column, settings)
            columns = [column, *(key for key in ("id", "meta") if key in table.schema_arrow.names and key != column)]
            number = 0
            for batch in table.iter_batches(_ROWS, columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    yield _read_row(row, column, number, name, settings)
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError, OverflowError) as error:
            if isinstance(error, FormatError):
                raise
            reason = str(error).partition("\n")[0][:200]
            raise FormatError(f"damaged, or no Parquet file ({reason or type(error).__name__})") from error


def _read_row(row: dict[str, Any], column: str, number: int, name: str, settings: CorpusSettings) -> Text | Skipped:
    text, where = row[column], f"{name}:{number}"
    if text is None:
        return Skipped(source=where, reason="row has no text")
    if isinstance(text, bytes):
        return Skipped(source=where, reason="row is not valid UTF-8")
    if len(text) > settings.max_record_bytes:
        return Skipped(source=where, reason="row too long")
    meta: dict[str, Any] = {"encoding": "utf-8"}
    inner = row.get("meta")
    group = inner.get("group") if isinstance(inner, dict) else None
    if isinstance(group, str):
        meta["group"] = f"{name}:{group}"
    if isinstance(row.get("id"), str | int):
        meta["original_id"] = row["id"]
    return Text(text=normalize_tweet(text) if settings.normalize_tweets else text, part=str(number), meta=meta)


def _check_footer(file: IO[bytes]) -> None:
    """Refuse what is no Parquet file, and a table of contents that would fill the memory."""
    size = file.seek(0, 2)
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    file.seek(0)
    if size < 12 or file.read(4) not in (_MAGIC, b"PARE"):
        raise FormatError("no Parquet file")
    file.seek(0)
    if tail[4:] == b"PARE":
        raise FormatError("encrypted")
    if tail[4:] != _MAGIC:
        raise FormatError("a Parquet file that is cut off")
    if struct.unpack_from("<I", tail)[0] > min(size - 12, _MAX_FOOTER_BYTES):
        raise FormatError("damaged, or no Parquet file (its table of contents is too large)")


def _is_string(kind: pyarrow.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _text_column(table: pyarrow.parquet.ParquetFile, text_key: str) -> str:
    schema = table.schema_arrow
    names = [field.name for field in schema if _is_string(field.type)]
    if text_key in names or not names:
        if not names:
            raise FormatError(f"no column of strings; found columns {schema.names[:8]}")
        return text_key
    if len(names) == 1:
        return names[0]
    batch = next(table.iter_batches(_SAMPLE_ROWS, columns=names, use_threads=False), None)
    if batch is None:
        return names[0]
    # Distinct values only, as in a .csv: a column of a few long labels is no text.
    sizes = {key: sum(map(len, set(filter(None, batch.column(key).to_pylist())))) for key in names}
    return max(names, key=lambda key: sizes[key])


def _check_groups(table: pyarrow.parquet.ParquetFile, column: str, settings: CorpusSettings) -> None:
    """Refuse a text column that decompresses to too much, as the table of contents says."""
    for number in range(table.metadata.num_row_groups):
        group = table.metadata.row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            if chunk.path_in_schema != column:
                continue
            size, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
            if size > _MAX_GROUP_BYTES:
                raise FormatError(f"a row group of more than {_MAX_GROUP_BYTES / 2**30:.0f} GiB")
            if size > 2**20 and size > settings.max_gzip_ratio * packed:
                raise FormatError("a column decompresses to too much (max_gzip_ratio)")
