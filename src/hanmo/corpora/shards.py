"""Token shards: all documents of one side as one flat file of token ids, read through a memory map.

A folder with `tokens.bin` (little-endian uint16 or uint32, each document followed by the end-of-text id) and
`shards.json` (its counts and hashes).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.files import new_folder, read_json, sha256_file, write_json
from hanmo.core.settings import Settings

__all__ = ["ShardReport", "open_shards", "read_shard_report", "shard_dtype", "write_shards"]

_TOKENS, _REPORT = "tokens.bin", "shards.json"
_DTYPES = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
_BATCH_CHARS, _BATCH_TEXTS = 1_000_000, 512


class ShardReport(Settings):
    """What is in a folder of shards; `shards.json` holds it."""

    dtype: str
    """"uint16" or "uint32", little-endian."""
    n_tokens: int
    """Token ids in the file, end-of-text ids included."""
    n_documents: int
    """Documents, each followed by one end-of-text id."""
    n_bytes: int
    """UTF-8 bytes of the source texts; bits per byte are counted over these."""
    n_chars: int
    """Unicode characters of the source texts."""
    eot_id: int
    """The end-of-text id."""
    tokenizer_sha256: str
    """SHA-256 of the tokenizer that made the ids."""
    sha256: str
    """SHA-256 of `tokens.bin`."""


def shard_dtype(vocab_size: int) -> str:
    """Name of the smallest type that holds every id of a vocabulary."""
    return "uint16" if vocab_size <= 0x10000 else "uint32"


def write_shards(
    texts: Iterable[str],
    encode_batch: Callable[[Sequence[str]], Sequence[Sequence[int]]],
    eot_id: int,
    out: str | Path,
    dtype: str | np.dtype[Any] = "uint16",
    *,
    tokenizer_sha256: str = "",
    on_texts: Callable[[int], object] | None = None,
) -> ShardReport:
    """Encode texts to a folder of shards, which appears whole or not at all.

    Args:
        texts: documents, read once.
        encode_batch: texts to ids, adding no special ids of its own; called in two threads at once.
        eot_id: id put behind every document.
        out: folder to write; one that holds other files is refused rather than replaced.
        dtype: "uint16" (ids below 65,536) or "uint32".
        tokenizer_sha256: kept in the report, to be compared when training.
        on_texts: called with the number of texts after each batch (progress).

    Raises:
        ConfigError: if `dtype` is another one or `out` holds other files.
        DataError: if an id does not fit in `dtype` or there is no text.
        StorageError: if the disk is full or may not be written.
    """
    out, name = Path(out), np.dtype(dtype).name
    if name not in _DTYPES:
        raise ConfigError(f"token ids are kept as {' or '.join(_DTYPES)}, not {name}", where="dtype")
    if out.is_dir() and (others := sorted({entry.name for entry in out.iterdir()} - {_TOKENS, _REPORT})):
        raise ConfigError(f"this folder holds other files ({others[0]})", where=out, remedy="Name a folder of its own.")
    top = np.iinfo(_DTYPES[name]).max
    n_tokens = n_documents = n_bytes = n_chars = 0
    digest = hashlib.sha256()
    with new_folder(out) as folder:
        with open(folder / _TOKENS, "wb") as file:
            for batch, encoded in _encoded(texts, encode_batch):
                if len(encoded) != len(batch):
                    raise DataError(f"encode_batch gave {len(encoded)} rows for {len(batch)} texts", where=out)
                ends = np.fromiter((len(row) + 1 for row in encoded), np.int64, len(encoded)).cumsum()
                ids = np.empty(ends[-1], np.int64)
                for row, end in zip(encoded, ends.tolist(), strict=True):
                    ids[end - len(row) - 1 : end - 1] = row
                ids[ends - 1] = eot_id
                if ids.min() < 0 or ids.max() > top:
                    raise DataError(
                        f"token id {ids.max()} does not fit in {name}", where=out, remedy="Use dtype='uint32'."
                    )
                data = ids.astype(_DTYPES[name]).tobytes()
                file.write(data)
                digest.update(data)
                n_tokens, n_documents = n_tokens + len(ids), n_documents + len(batch)
                n_bytes += sum(len(text.encode("utf-8")) for text in batch)
                n_chars += sum(map(len, batch))
                if on_texts is not None:
                    on_texts(len(batch))
        if not n_documents:
            raise DataError("there is no text to encode", where=out, remedy="Build a corpus with documents first.")
        report = ShardReport(
            dtype=name,
            n_tokens=n_tokens,
            n_documents=n_documents,
            n_bytes=n_bytes,
            n_chars=n_chars,
            eot_id=eot_id,
            tokenizer_sha256=tokenizer_sha256,
            sha256=digest.hexdigest(),
        )
        write_json(folder / _REPORT, report.model_dump(mode="json"))
    return report


def _encoded(
    texts: Iterable[str], encode_batch: Callable[[Sequence[str]], Sequence[Sequence[int]]]
) -> Iterator[tuple[list[str], Sequence[Sequence[int]]]]:
    """Batches with their ids. While one is written two are encoded, for the threads of a tokenizer wait for the last text of a
    batch, and need no interpreter for most of it."""
    with ThreadPoolExecutor(2) as pool:
        ahead: deque[tuple[list[str], Future[Sequence[Sequence[int]]]]] = deque()
        for batch in _batches(texts):
            ahead.append((batch, pool.submit(encode_batch, batch)))
            if len(ahead) > 2:
                done, ids = ahead.popleft()
                yield done, ids.result()
        for done, ids in ahead:
            yield done, ids.result()


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH_CHARS or len(batch) >= _BATCH_TEXTS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def read_shard_report(folder: str | Path) -> ShardReport:
    """Read `shards.json`.

    Raises:
        FormatError: if it is missing or no report.
    """
    path = Path(folder) / _REPORT
    if not path.is_file():
        raise FormatError("no shards here (shards.json is missing)", where=folder, remedy="Encode the corpus again.")
    try:
        return ShardReport.model_validate(read_json(path))
    except ValueError as error:
        raise FormatError(f"no report of shards ({error})", where=path, remedy="Encode the corpus again.") from error


def open_shards(folder: str | Path, *, verify: bool = False, tokenizer_sha256: str | None = None) -> np.ndarray:
    """Map the token ids of a folder, (n_tokens,), uint16 or uint32, read-only.

    Args:
        folder: as `write_shards` made it.
        verify: compare the SHA-256 of the whole file as well; its size is always compared.
        tokenizer_sha256: refuse shards that another tokenizer made.

    Raises:
        FormatError: if a file is missing, truncated, changed, or of another tokenizer.
    """
    folder = Path(folder)
    report, path = read_shard_report(folder), folder / _TOKENS
    again = "Encode the corpus again."
    if report.dtype not in _DTYPES:
        raise FormatError(f"unknown dtype {report.dtype!r}", where=folder / _REPORT, remedy=again)
    if not path.is_file():
        raise FormatError("tokens.bin is missing", where=folder, remedy=again)
    dtype = _DTYPES[report.dtype]
    expected, size = report.n_tokens * dtype.itemsize, path.stat().st_size
    if size != expected:
        raise FormatError(
            f"{size:,} bytes where shards.json says {expected:,}: truncated or changed", where=path, remedy=again
        )
    if verify and sha256_file(path) != report.sha256:
        raise FormatError("its SHA-256 is not the one in shards.json: changed or damaged", where=path, remedy=again)
    if tokenizer_sha256 is not None and tokenizer_sha256 != report.tokenizer_sha256:
        raise FormatError("these shards were made by another tokenizer", where=folder, remedy=again)
    return np.memmap(path, dtype=dtype, mode="r", shape=(report.n_tokens,))
