"""SentencePiece models (`spiece.model`, `tokenizer.model`), read without the library that made them.

The file is one protocol buffer, a sequence of (field number, value) pairs; the numbers below are those of
`sentencepiece_model.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from hanmo.core.errors import FormatError, ModelError

__all__ = ["Kind", "Piece", "SentencePieceModel", "read_sentencepiece"]


class Kind(IntEnum):
    """What a piece is."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """An entry of the vocabulary; its place is its id."""

    text: str
    score: float
    kind: Kind


@dataclass(frozen=True)
class SentencePieceModel:
    """What encoding depends on."""

    pieces: list[Piece]
    algorithm: str
    """unigram, bpe, word or char."""
    unk_id: int
    byte_fallback: bool
    """Characters outside the vocabulary become the pieces of their UTF-8 bytes."""
    split_by_whitespace: bool
    """No piece reaches over a space."""
    charsmap: bytes
    """Normalisation of characters (NFKC and the like), compiled; empty for none."""
    add_dummy_prefix: bool
    """A space stands before the first word too."""
    remove_extra_whitespaces: bool


_ALGORITHMS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
_Value = int | bytes


def read_sentencepiece(path: Path) -> SentencePieceModel:
    """Read a model file.

    Raises:
        ModelError: if it cannot be read.
        FormatError: if it is damaged, or asks for something that is not supported.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=path) from error
    try:
        fields = list(_fields(data))
        pieces = [_piece(_bytes(value)) for number, value in fields if number == 1]
        trainer = dict(_fields(_bytes(_last(fields, 2, b""))))
        normalizer = dict(_fields(_bytes(_last(fields, 3, b""))))
        model = SentencePieceModel(
            pieces=pieces,
            algorithm=_ALGORITHMS[_int(trainer.get(3, 1))],
            unk_id=_int(trainer.get(40, 0)),
            byte_fallback=bool(trainer.get(35, 0)),
            split_by_whitespace=bool(trainer.get(22, 1)),
            charsmap=_bytes(normalizer.get(2, b"")),
            add_dummy_prefix=bool(normalizer.get(3, 1)),
            remove_extra_whitespaces=bool(normalizer.get(4, 1)),
        )
    except (ValueError, KeyError, IndexError, struct.error) as error:
        raise _damaged(path, str(error)) from error
    if not pieces or not 0 <= model.unk_id < len(pieces):
        raise _damaged(path, f"{len(pieces)} pieces, the unknown one being {model.unk_id}")
    if trainer.get(24, 0) or not normalizer.get(5, 1):
        raise FormatError("spaces that are a suffix of words, or not marked at all, are not supported", where=path)
    return model


def _damaged(path: Path, reason: str) -> FormatError:
    return FormatError(f"not a SentencePiece model ({reason})", where=path, remedy="Copy or download it again.")


def _piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    (score,) = struct.unpack("<f", _bytes(fields.get(2, bytes(4))))
    return Piece(_bytes(fields[1]).decode("utf-8"), score, Kind(_int(fields.get(3, 1))))


def _last(fields: list[tuple[int, _Value]], number: int, default: _Value) -> _Value:
    return next((value for found, value in reversed(fields) if found == number), default)


def _bytes(value: _Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes belong")
    return value


def _int(value: _Value) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes where a number belongs")
    return value


def _fields(data: bytes) -> Iterator[tuple[int, _Value]]:
    """Number and value of each field of a message; a value of fixed width stays bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value - (1 << 64) if value >> 63 else value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(data, at)
            case 5:
                length = 4
            case kind:
                raise ValueError(f"no field of kind {kind}")
        if at + length > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer of 7 bits per byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("cut short")
        byte = data[at]
        value, at = value | (byte & 127) << shift, at + 1
        if byte < 128:
            return value, at
    raise ValueError("a number of more than ten bytes")
