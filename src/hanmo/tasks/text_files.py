"""Text files as people keep them: plain or .gz, in any encoding that `hanmo.text.encoding` tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hanmo.core.errors import FormatError
from hanmo.core.files import open_unpacked
from hanmo.core.progress import say
from hanmo.text.encoding import Decoded, decode, unreadable_lines

__all__ = ["decode_file", "open_text_lines", "read_text_file", "say_encodings"]

_SHOWN = 10


def read_text_file(path: Path) -> str:
    """All of a text file, unpacked and decoded; said is an encoding that is not UTF-8.

    Raises:
        DataError: if it is not there or cannot be read.
        FormatError: if it is damaged or no text; names the lines with bytes that are none.
    """
    decoded = decode_file(path)
    say_encodings(path, [decoded])
    return decoded.text


def decode_file(path: Path) -> Decoded:
    """`read_text_file` without a word about the encoding.

    Raises:
        DataError, FormatError: as there.
    """
    with open_unpacked(path) as stream:
        data = stream.read()
    try:
        decoded = decode(data)
    except FormatError as error:
        raise FormatError(error.what, where=path, remedy=error.remedy) from error
    if decoded.n_removed:
        lines = unreadable_lines(data, decoded)
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        places = f" (in line {', '.join(map(str, lines[:_SHOWN]))}{more})" if lines else ""
        raise FormatError(
            f"{decoded.n_removed:,} byte sequences are no {decoded.encoding}{places}", where=path,
            remedy=f"Mend these lines; what cannot be read is left out by `iconv -c -f {decoded.encoding} -t utf-8`.",
        )  # fmt: skip
    return decoded


def say_encodings(path: Path, files: Sequence[Decoded]) -> None:
    """What was guessed, once for all files of a folder."""
    for encoding, n in Counter(one.encoding for one in files if one.encoding not in ("ascii", "utf-8")).items():
        say(f"{path}: {f'{n:,} files ' if path.is_dir() else ''}read as {encoding}")
    if n_foreign := sum(one.n_foreign_lines for one in files):
        say(f"{path}: {n_foreign:,} lines in another encoding than the rest, each read in its own")


def open_text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and content of each line of a file that may be larger than the memory: UTF-8, also as .gz.

    Raises:
        DataError: if it is not there or cannot be read.
        FormatError: if it is damaged or not UTF-8.
    """
    with open_unpacked(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise FormatError(
                    "this line is not UTF-8", where=f"{path}:{number}", remedy="Save the file as UTF-8."
                ) from error
