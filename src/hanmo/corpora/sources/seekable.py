"""A stream that can go back, for formats whose table of contents is at the end."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO, cast

from hanmo.core.errors import FormatError

__all__ = ["seekable"]

_CHUNK_BYTES = 2**16


@contextlib.contextmanager
def seekable(stream: IO[bytes], max_bytes: int) -> Iterator[IO[bytes]]:
    """Give the stream itself where it can go back, else a temporary file of what is in it.

    Raises:
        FormatError: if it decompresses to more than `max_bytes`.
    """
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        size = 0
        while block := stream.read(_CHUNK_BYTES):
            size += len(block)
            if size > max_bytes:
                raise FormatError(f"decompresses to more than {max_bytes:,} bytes (max_file_bytes)")
            copy.write(block)
        copy.seek(0)
        yield cast("IO[bytes]", copy)
