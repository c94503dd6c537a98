"""Which files a tokenizer was trained on, by hash, so that none of them is later taken for unseen text."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import read_json, sha256_file, write_json

__all__ = [
    "FILE_NAME",
    "TrainingFile",
    "hash_file",
    "read_training_files",
    "refuse_training_text",
    "write_training_files",
]

FILE_NAME = "training_data.json"
"""Stands beside tokenizer.json."""
_MAGIC = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_CHUNK = 1 << 20


@dataclass(frozen=True)
class TrainingFile:
    """A file that a tokenizer was trained on."""

    name: str
    """As it was given, or its path in the folder that was given."""
    sha256: str
    """Hex SHA-256 of its bytes."""
    content_sha256: str
    """That of what is in it where it is packed (.gz, .bz2, .xz), else the same."""


def hash_file(path: str | Path, name: str | None = None) -> TrainingFile:
    """Hash a file, and what is packed in it: a copy that is packed or unpacked has the same content.

    Raises:
        DataError: if it cannot be read, or is damaged.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            head = raw.read(6)
        opener: Any = next((opener for magic, opener in _MAGIC if head.startswith(magic)), None)
        whole = sha256_file(path)
        return TrainingFile(name or str(path), whole, whole if opener is None else _content_hash(path, opener, whole))
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"cannot be read to its end ({error})", where=path, remedy="Get the file again.") from error


def _content_hash(path: Path, opener: Any, whole: str) -> str:
    digest = hashlib.sha256()
    try:
        with opener(path, "rb") as packed:
            stream = cast("IO[bytes]", packed)
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        if opener is not bz2.open:
            raise
        return whole  # a text that begins with these three letters
    return digest.hexdigest()


def write_training_files(folder: Path, files: Iterable[TrainingFile]) -> None:
    """Write them into a tokenizer's folder.

    Raises:
        StorageError: if the folder cannot be written.
    """
    write_json(folder / FILE_NAME, {"files": [asdict(file) for file in files]})


def read_training_files(folder: Path) -> tuple[TrainingFile, ...]:
    """Read them; none where the folder does not say.

    Raises:
        FormatError: if the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return ()
    try:
        files = tuple(TrainingFile(**file) for file in read_json(path)["files"])
        if not all(isinstance(value, str) for file in files for value in asdict(file).values()):
            raise TypeError("a name or hash is no string")
    except (KeyError, TypeError) as error:
        raise FormatError(
            f"no list of training files ({error})", where=path, remedy="Copy it again from where the tokenizer is."
        ) from error
    return files


def refuse_training_text(files: Iterable[TrainingFile], evaluated: Iterable[str | Path], *, tokenizer: object) -> None:
    """Refuse to evaluate on a file that a tokenizer was trained on, packed or unpacked, under whatever name.

    Args:
        files: what the tokenizer was trained on.
        evaluated: the files that are to be evaluated on.
        tokenizer: what the error calls the tokenizer.

    Raises:
        DataError: for the first such file; names it and the training file.
    """
    known = {file.content_sha256: file.name for file in files}
    if not known:
        return
    for path in evaluated:
        same = known.get(hash_file(path).content_sha256)
        if same is not None:
            raise DataError(
                f"the tokenizer {tokenizer} was trained on this text (as {same}), so figures on it would be too good",
                where=path,
                remedy="Evaluate on text that it has not seen, or train the tokenizer without this file.",
            )
