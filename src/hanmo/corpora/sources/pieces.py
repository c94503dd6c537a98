"""Cutting long text into pieces, at the best place there is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["cut_stream", "cut_text"]

# From best to worst: after a blank line, a line, a sentence, a space; the search goes no further back than half.
_PLACES = (
    re.compile(r"\n[ \t\u3000]*\n+"),
    re.compile(r"\n"),
    re.compile(r"[。！？!?；…][”’」』）\"']*|\.[\"')]*\s"),
    re.compile(r"[，、,;:：]|\s"),
)


def cut_text(text: str, *, piece_chars: int, max_chars: int | None = None) -> Iterator[str]:
    """Cut a text into pieces of about `piece_chars` characters; joined, the pieces are the text.

    Args:
        text: any text.
        piece_chars: wanted length; the last piece may be up to half as long again.
        max_chars: no piece is longer than this (default: 1.5 × `piece_chars`).
    """
    yield from cut_stream([text], piece_chars=piece_chars, max_chars=max_chars)


def cut_stream(blocks: Iterable[str], *, piece_chars: int, max_chars: int | None = None) -> Iterator[str]:
    """As `cut_text`, for a text that arrives in blocks: no more than a block and a piece are held."""
    limit = min(max_chars or piece_chars * 3 // 2, piece_chars * 3 // 2)
    rest = ""
    for block in blocks:
        text, start = rest + block, 0
        while len(text) - start > limit:
            end = _cut_place(text, start, min(piece_chars, limit))
            yield text[start:end]
            start = end
        rest = text[start:]
    if rest:
        yield rest


def _cut_place(text: str, start: int, length: int) -> int:
    low, high = start + length // 2, start + length
    for place in _PLACES:
        ends = [found.end() for found in place.finditer(text, low, high)]
        if ends:
            return ends[-1]
    return high
