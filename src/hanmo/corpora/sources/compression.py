"""Reading .gz, .bz2, .xz and .zst as they stream by: told by their first bytes, held to limits, kept up to the damage."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, Protocol, cast

from hanmo.core.errors import FormatError, MissingExtraError
from hanmo.corpora.settings import CorpusSettings

__all__ = ["COMPRESSED", "Unpacked", "bytes_read", "open_stream", "problem_of"]

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
"""Endings behind the ending of a kind."""

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    *((bytes([byte]) + b"\x2a\x4d\x18", "zstd") for byte in range(0x50, 0x60)),  # a frame to pass over, as pzstd writes
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
"""How the first block of a .bz2 begins, and the end of one without blocks."""
_GZIP_MEMBER = b"\x1f\x8b\x08"
_CHUNK_BYTES = 2**15
_FREE_BYTES = 2**20
"""Bytes that may come out before their ratio to what went in is judged."""
_XZ_MEMORY = 2**28
"""Largest dictionary of an .xz file, in bytes; `xz -9` takes a quarter of it."""
_ZSTD_WINDOW = 2**27
"""Largest window of a .zst file, in bytes; more asks for `--long` of `zstd` in both directions."""
_ZSTD_INPUT_BYTES = 256
"""Compressed bytes that are given to Zstandard at a time: they may become 8 MB, as four bytes become a block."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """One gzip member, with the interface that bz2 and lzma share."""

    def __init__(self) -> None:
        self._inner, self._rest = zlib.decompressobj(wbits=31), b""
        self.given = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        self.given = self._rest + data
        out = self._inner.decompress(self.given, max(max_length, 0))
        self._rest = self._inner.unconsumed_tail
        return out


class _Unzstd:
    """One Zstandard frame, with the same interface."""

    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtraError("zstandard", "corpus", "reading .zst") from error
        self._error = zstandard.ZstdError
        self._inner = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        self._input = self._output = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._inner.eof and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + bytes(self._input)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._input = memoryview(bytes(self._input) + data)
        while not self._output and self._input and not self._inner.eof:
            piece, self._input = self._input[:_ZSTD_INPUT_BYTES], self._input[_ZSTD_INPUT_BYTES:]
            try:
                self._output = memoryview(self._inner.decompress(piece))
            except self._error as error:
                raise OSError(str(error)) from error
        size = max_length if max_length >= 0 else len(self._output)
        out, self._output = bytes(self._output[:size]), self._output[size:]
        return out


def _decompressor(form: str) -> _Decompressor:
    if form == "gzip":
        return _Gunzip()
    if form == "zstd":
        return _Unzstd()
    if form == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


class Unpacked(io.RawIOBase):
    """The decompressed bytes of a stream of one or more members.

    At damage, or where the file is cut off, the stream ends; `problem` then says why. Beyond a limit it raises.

    Args:
        raw: the compressed file.
        form: "gzip", "bzip2", "xz" or "zstd".
        max_bytes: most bytes that may come out; None for no limit.
        max_ratio: most bytes out per byte in, from the second megabyte on.
        skip_damage: go on with the next member of a gzip file behind a damaged one (web archives).
    """

    def __init__(self, raw: IO[bytes], form: str, *, max_bytes: int | None, max_ratio: float, skip_damage: bool):
        self.problem: str | None = None
        self._raw, self._form, self._inner = raw, form, _decompressor(form)
        self._max_bytes, self._max_ratio, self._skip_damage = max_bytes, max_ratio, skip_damage
        self._input, self.n_in, self._n_out = b"", 0, 0
        self._ended = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, buffer) -> int:
        """Fill a buffer (at least one byte, or 0 at the end).

        Raises:
            FormatError: if more comes out than the limits allow.
        """
        view = memoryview(buffer).cast("B")
        while len(view) and not self._ended:
            try:
                data = self._decompress(min(len(view), _CHUNK_BYTES))
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                if not self._find_next_member(str(error)):
                    break
                continue
            if data:
                self._count(len(data))
                view[: len(data)] = data
                return len(data)
        return 0

    def _decompress(self, size: int) -> bytes:
        if self._inner.eof:
            self._next_member()
            return b""
        if not self._input and self._inner.needs_input and not self._fill():
            raise EOFError("the file is cut off")
        data, self._input = self._input, b""
        out = self._inner.decompress(data, size)
        if self._inner.eof:
            self._input = self._inner.unused_data
        return out

    def _fill(self) -> bool:
        block = self._raw.read(_CHUNK_BYTES)
        self.n_in += len(block)
        self._input += block
        return bool(block)

    def _next_member(self) -> None:
        """Start the next member, behind zeros (padding), if there is one."""
        while True:
            self._input = self._input.lstrip(b"\0")
            if len(self._input) >= 6 or not self._fill():
                break
        if not self._input:
            self._ended = True
        elif not self._input.startswith(tuple(magic for magic, form in _MAGIC if form == self._form)):
            raise EOFError(f"behind the end is something that is no {self._form}")
        else:
            self._inner = _decompressor(self._form)

    def _find_next_member(self, problem: str) -> bool:
        """Note the damage, and look for the gzip member behind it where that is wanted."""
        self.problem, self._ended = problem, True
        if not self._skip_damage or not isinstance(self._inner, _Gunzip):
            return False
        rest, start = self._input or self._inner.given, 1
        while (place := rest.find(_GZIP_MEMBER, start)) < 0:
            self._input = b""
            if not self._fill():
                return False
            rest, start = rest[-2:] + self._input, 0
        self._input, self._ended, self._inner = rest[place:], False, _Gunzip()
        return True

    def _count(self, n: int) -> None:
        self._n_out += n
        if self._max_bytes is not None and self._n_out > self._max_bytes:
            raise FormatError(f"decompresses to more than {_mebibytes(self._max_bytes)} (max_file_bytes)")
        if self._n_out > _FREE_BYTES and self._n_out > self._max_ratio * self.n_in:
            raise FormatError(f"decompresses to more than {self._max_ratio:.0f} times its size (max_gzip_ratio)")


def open_stream(path: Path, settings: CorpusSettings, *, is_archive: bool = False) -> IO[bytes]:
    """Open a file for reading, decompressed where its first bytes say that it is compressed, whatever its name.

    Args:
        path: the file.
        settings: `max_file_bytes` and `max_gzip_ratio`.
        is_archive: it holds many records with a limit each (a dump, a web archive): its own size has none, and
            reading goes on behind a damaged gzip member.

    Raises:
        FormatError: if it is too large; also while reading.
        MissingExtraError: if it is compressed by Zstandard and that is not installed.
        OSError: if it cannot be opened.
    """
    raw = open(path, "rb")  # noqa: SIM115 - handed to the caller
    try:
        head = raw.read(10)
        raw.seek(0)
        form = next((form for magic, form in _MAGIC if head.startswith(magic)), None)
        if form == "bzip2" and head[4:] not in _BZIP2_BLOCKS:
            form = None  # a text that begins with these letters
        limit = None if is_archive else settings.max_file_bytes
        if form is None:
            if limit is not None and path.stat().st_size > limit:
                raise FormatError(f"larger than {_mebibytes(limit)} (max_file_bytes)")
            return raw
        unpacked = Unpacked(raw, form, max_bytes=limit, max_ratio=settings.max_gzip_ratio, skip_damage=is_archive)
        return cast("IO[bytes]", io.BufferedReader(unpacked, _CHUNK_BYTES))
    except BaseException:
        raw.close()
        raise


def problem_of(stream: IO[bytes]) -> str | None:
    """Why a stream of `open_stream` ended before its end, once it was read; None if it did not."""
    raw = getattr(stream, "raw", None)
    return raw.problem if isinstance(raw, Unpacked) else None


def bytes_read(stream: IO[bytes]) -> int:
    """How many bytes of the file under a stream of `open_stream` have been read, compressed as they are there."""
    raw = getattr(stream, "raw", None)
    return raw.n_in if isinstance(raw, Unpacked) else stream.tell()


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size} bytes"
