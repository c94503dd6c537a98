"""Questions with their contexts as rows of ids, in which each token knows its characters of the context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hanmo.core.errors import DataError
from hanmo.tokenizers.encodable import is_encodable, not_encodable
from hanmo.tokenizers.framed import text_room
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["ContextRow", "encode_contexts"]

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Accents that combine with the letter before."""


@dataclass(frozen=True)
class ContextRow:
    """A question and its context, or a part of that, with special tokens around. N tokens of the context."""

    ids: list[int]
    """Token ids, special ones included."""
    token_type_ids: list[int]
    """Which segment each token belongs to."""
    none: int
    """Place of the token that is pointed at where there is no answer: the [CLS] token, or the first of the row."""
    first: int
    """Place of the first token of the context; the others follow it."""
    spans: np.ndarray
    """(N, 2) int32: the characters of the context that a token stands for, from and up to."""
    words: np.ndarray
    """(N, 2) int32: those of the whole word that it is a part of."""
    shared: np.ndarray
    """(N,) bool: whether that word is in the question too, in upper or lower case."""


def encode_contexts(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], *, max_len: int, overlap: int
) -> list[list[ContextRow]]:
    """Turn questions with their contexts into ids, and say which characters of the context a token stands for.

    The characters are those of the text as it was given, whatever the tokenizer makes of it before it cuts it. A
    longer context becomes several rows that overlap; the question stands whole in each.

    Args:
        pairs: question and context.
        max_len: most tokens of a row, special ones included.
        overlap: tokens of the context that a row shares with the one before, less if there is no room for so many.

    Returns:
        For each pair its rows, at least one.

    Raises:
        DataError: for half a surrogate pair; for a question that leaves less than half of the room to a context that
            does not fit.
        ConfigError: if `max_len` leaves no room for a text.
    """
    for number, pair in enumerate(pairs):
        if not all(is_encodable(text) for text in pair):
            raise not_encodable(number)
    questions, contexts = (
        tokenizer.plain.encode_batch([pair[side] for pair in pairs], add_special_tokens=False) for side in (0, 1)
    )
    room = text_room(tokenizer, max_len, pair=True)
    found = []
    for number, (question, context) in enumerate(zip(questions, contexts, strict=True)):
        spans = _with_marks(pairs[number][1], np.array(context.offsets, dtype=np.int32).reshape(-1, 2))
        words = _whole_words(spans, context.word_ids)
        asked = _whole_words(np.array(question.offsets, dtype=np.int32).reshape(-1, 2), question.word_ids)
        texts = {pairs[number][0][start:end].casefold() for start, end in asked.tolist()}
        shared = np.array([pairs[number][1][start:end].casefold() in texts for start, end in words.tolist()], bool)
        left, n = room - len(question.ids), len(context.ids)
        if n > left:
            if left < room // 2:
                raise DataError(
                    f"a question of {len(question.ids)} tokens leaves too little of {max_len} for its context",
                    where=f"text {number}", remedy="Shorten the question, or allow longer rows.",
                )  # fmt: skip
            context.truncate(left, min(overlap, left - 1))
        rows, start = [], 0
        for window in (context, *context.overflowing):
            end = start + len(window.ids)
            part = slice(start, end)
            rows.append(_context_row(tokenizer, question, window, spans[part], words[part], shared[part]))
            start = end - min(overlap, left - 1)
        found.append(rows)
    return found


def _context_row(tokenizer: Tokenizer, question: Any, context: Any, *of_tokens: np.ndarray) -> ContextRow:
    encoding = tokenizer.plain.post_process(question, context, add_special_tokens=True)
    first = next((place for place, side in enumerate(encoding.sequence_ids) if side == 1), len(encoding.ids))
    mark = tokenizer.special_tokens.get("cls_token")
    none = encoding.tokens.index(mark) if mark in encoding.tokens else 0
    assert all(len(values) == len(context.ids) for values in of_tokens)
    return ContextRow(encoding.ids, encoding.type_ids, none, first, *of_tokens)


def _with_marks(text: str, spans: np.ndarray) -> np.ndarray:
    """Spans (N, 2) with the accents that follow their last letter, which a tokenizer that drops accents leaves out."""
    for match in _MARKS.finditer(text):
        if not (spans[:, 0] == match.start()).any():
            spans[spans[:, 1] == match.start(), 1] = match.end()
    return spans


def _whole_words(spans: np.ndarray, word_ids: Sequence[int | None]) -> np.ndarray:
    """For tokens with these spans (N, 2) the span of the word that each is a part of."""
    ends: dict[int, list[int]] = {}
    for word, (start, end) in zip(word_ids, spans.tolist(), strict=True):
        if word is not None:
            known = ends.setdefault(word, [start, end])
            known[0], known[1] = min(known[0], start), max(known[1], end)
    whole = [span if word is None else ends[word] for word, span in zip(word_ids, spans.tolist(), strict=True)]
    return np.array(whole, dtype=np.int32).reshape(-1, 2)
