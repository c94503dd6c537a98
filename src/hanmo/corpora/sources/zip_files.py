"""Reading files out of a zip file (.docx, .epub) within limits; nothing is ever unpacked to disk."""

from __future__ import annotations

import contextlib
import shutil
import struct
import tempfile
import zipfile
import zlib
from typing import IO, cast

from hanmo.core.errors import FormatError
from hanmo.corpora.settings import CorpusSettings

__all__ = ["ZipReader"]

_CHUNK_BYTES = 2**16
_FREE_BYTES = 2**20
_MAX_DIRECTORY_BYTES = 8 * 2**20
"""Largest table of contents of a zip file, in bytes."""
_END = b"PK\x05\x06"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises for files that others made."""


class ZipReader:
    """The files of a zip file, by name; to be used in a `with`, which leaves the stream itself open.

    Args:
        stream: the zip file; a stream that cannot go back is copied to a temporary file first.
        settings: `max_file_bytes` for all that is read together, `max_record_bytes` for one file in it, and
            `max_gzip_ratio`.

    Raises:
        FormatError: if it is damaged or no zip file, or its table of contents is too large.
    """

    def __init__(self, stream: IO[bytes], settings: CorpusSettings):
        self._settings, self._n_read, self._closing = settings, 0, contextlib.ExitStack()
        packed = None if stream.seekable() else stream
        if packed is not None:
            stream = cast("IO[bytes]", self._closing.enter_context(tempfile.TemporaryFile()))  # noqa: SIM115 - closed by the stack
        try:
            if packed is not None:
                shutil.copyfileobj(packed, stream)
            _check_directory(stream)
            self._zip = zipfile.ZipFile(stream)
        except (FormatError, OSError):
            self._closing.close()
            raise
        except _DAMAGE as error:
            self._closing.close()
            raise FormatError(f"damaged, or no zip file ({type(error).__name__})") from error

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *args: object) -> None:
        self._closing.close()

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FormatError: if it is not there, damaged, encrypted or too large, or its name leads out of the archive.
        """
        info = self._zip.NameToInfo.get(name)
        if info is None:
            raise FormatError("a file that it names is not in it")
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":":
            raise FormatError("a name in it leads out of it")
        if info.flag_bits & 1:
            raise FormatError("encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FormatError("compressed in a way that is not usual for it")
        parts, size = [], 0
        try:
            with self._zip.open(info) as file:
                while block := file.read(_CHUNK_BYTES):
                    parts.append(block)
                    size += len(block)
                    self._count(len(block), size, info.compress_size)
        except _DAMAGE as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"damaged ({type(error).__name__})") from error
        return b"".join(parts)

    def _count(self, n: int, size: int, packed: int) -> None:
        self._n_read += n
        if size > self._settings.max_record_bytes:
            raise FormatError("a file in it is too large (max_record_bytes)")
        if self._n_read > self._settings.max_file_bytes:
            raise FormatError("too large in all (max_file_bytes)")
        if size > _FREE_BYTES and size > self._settings.max_gzip_ratio * packed:
            raise FormatError("a file in it decompresses to too much (max_gzip_ratio)")


def _check_directory(stream: IO[bytes]) -> None:
    """Refuse a table of contents that would fill the memory before a single file is read."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - 2**16 - 22))
    tail = stream.read()
    stream.seek(0)
    place = tail.rfind(_END)
    if place < 0 or len(tail) < place + 22:
        raise FormatError("damaged, or no zip file")
    n_files, n_bytes = struct.unpack_from("<HI", tail, place + 10)
    if n_files == 0xFFFF or n_bytes > _MAX_DIRECTORY_BYTES:
        raise FormatError("too many files in it")
