"""The exact bytes behind a vocabulary piece, one small reader per kind of tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["PieceReader", "find_piece_reader", "read_byte_level", "read_metaspace", "read_text"]

PieceReader = Callable[[str], bytes]


def _byte_alphabet() -> dict[str, int]:
    """Character to byte of the byte-level alphabet (Radford et al., 2019, GPT-2 `bytes_to_unicode`).

    Printable Latin-1 bytes stand for themselves; the other 68 are numbered from U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_alphabet()
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")


def read_byte_level(piece: str) -> bytes:
    """Bytes of a byte-level piece (GPT-2, Llama 3, Qwen, ours)."""
    try:
        return bytes(_BYTES[character] for character in piece)
    except KeyError:  # the library writes a piece with a character outside the alphabet as it stands
        return piece.encode("utf-8")


def read_metaspace(piece: str) -> bytes:
    """Bytes of a SentencePiece-like piece: U+2581 is a space, `<0x0A>` one byte (Llama 1 and 2)."""
    byte = _BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("\u2581", " ").encode("utf-8")


def read_text(piece: str) -> bytes:
    """Bytes of a piece that is written as it stands (single characters)."""
    return piece.encode("utf-8")


def find_piece_reader(definition: Mapping[str, Any]) -> PieceReader | None:
    """Choose the reader from the decoder named in a parsed tokenizer.json; None where bytes are not defined."""
    decoders = list(_flatten(definition.get("decoder")))
    if [decoder.get("type") for decoder in decoders] == ["Fuse"]:
        return read_text
    for decoder in decoders:
        if decoder.get("type") == "ByteLevel":
            return read_byte_level
        replaces = decoder.get("type") == "Replace" and decoder.get("pattern") == {"String": "\u2581"}
        if replaces or decoder.get("type") in ("Metaspace", "ByteFallback"):
            return read_metaspace
    return None


def _flatten(decoder: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(decoder, Mapping):
        return
    if decoder.get("type") == "Sequence":
        for part in decoder.get("decoders", ()):
            yield from _flatten(part)
    else:
        yield decoder
