"""A text cut into tokens as a reader sees it: each with its place in the text, unknown ones marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanmo.core.errors import ConfigError
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Piece", "cut_text", "cut_texts"]


@dataclass(frozen=True)
class Piece:
    """A token, or text that belongs to none (spaces that a tokenizer drops)."""

    text: str
    """The characters of the text that it stands for; of a token that is a part of a character its bytes, `<E4 B8>`."""
    id: int | None
    """Token id; None for text that belongs to no token."""
    unknown: bool = False
    """Whether the token stands for anything that is not in the vocabulary."""


def cut_text(tokenizer: Tokenizer, text: str) -> list[Piece]:
    """`cut_texts` for one text."""
    return cut_texts(tokenizer, [text])[0]


def cut_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[Piece]]:
    """Cut texts into tokens; no special token is added or read.

    Where all tokens are whole characters the pieces of a text join to it, whatever the tokenizer does to the text first.

    Raises:
        DataError: if a text holds half a surrogate pair.
    """
    unknown = tokenizer.unk_id
    return [
        _pieces(tokenizer, text, ids, spans, unknown)
        for text, (ids, spans) in zip(texts, tokenizer.encode_spans(texts), strict=True)
    ]


def _pieces(
    tokenizer: Tokenizer, text: str, ids: list[int], spans: list[tuple[int, int]], unknown: int | None
) -> list[Piece]:
    found: list[Piece] = []
    reached = 0
    for place, (token, (start, end)) in enumerate(zip(ids, spans, strict=True)):
        beside = [spans[other] for other in (place - 1, place + 1) if 0 <= other < len(spans)]
        if start > reached:
            found.append(Piece(text[reached:start], None))
        shared = token != unknown and any(left < end and start < right for left, right in beside)
        shown = _bytes_of(tokenizer, token) if shared else None
        found.append(Piece(text[max(start, reached) : end] if shown is None else shown, token, token == unknown))
        reached = max(reached, end)
    if reached < len(text):
        found.append(Piece(text[reached:], None))
    return found


def _bytes_of(tokenizer: Tokenizer, token: int) -> str | None:
    """A token that is part of a character, as its bytes; None for one of whole characters."""
    try:
        data = tokenizer.token_bytes(token)
    except ConfigError:  # WordPiece: a token is never a part of a character
        return None
    try:
        return None if data.decode("utf-8") else ""
    except UnicodeDecodeError:
        return f"<{data.hex(' ').upper()}>"
