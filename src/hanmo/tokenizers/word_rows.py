"""Sentences that are cut into words already as rows of ids, in which each word can be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hanmo.tokenizers.encodable import is_encodable, not_encodable
from hanmo.tokenizers.framed import text_room
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["WordRow", "encode_words"]


@dataclass(frozen=True)
class WordRow:
    """Words that were cut before, or some of them, with special tokens around."""

    ids: list[int]
    """Token ids, special ones included."""
    first: dict[int, int]
    """Number of a word → place of its first token."""
    own: frozenset[int]
    """The words that this row is to answer for; of the others another one shows more."""


def encode_words(
    tokenizer: Tokenizer, sentences: Sequence[Sequence[str]], *, max_len: int | None, overlap: int
) -> list[list[WordRow]]:
    """Turn sentences that are cut into words already into ids, and say which token a word begins at.

    A word that the tokenizer makes nothing of (a blank) becomes the unknown token, so that none is lost. A longer
    sentence becomes several rows that overlap; each word is answered for by the row that shows most around it.

    Args:
        sentences: words of each.
        max_len: most tokens of a row, special ones included; any number if None.
        overlap: tokens that a row shares with the one before, half a row at most.

    Returns:
        For each sentence its rows, at least one.

    Raises:
        DataError: for half a surrogate pair.
        ConfigError: if `max_len` leaves no room for a word.
    """
    unknown = tokenizer.special_tokens.get("unk_token", "\ufffd")
    rows = []
    for number, sentence in enumerate(sentences):
        if not all(is_encodable(word) for word in sentence):
            raise not_encodable(number)
        rows.append(list(sentence))
    room = None if max_len is None else text_room(tokenizer, max_len, pair=False)
    coded: list[Any] = tokenizer.plain.encode_batch(rows, is_pretokenized=True, add_special_tokens=False)
    found = []
    for words, encoding in zip(rows, coded, strict=True):
        if len({word for word in encoding.word_ids if word is not None}) < len(words):
            there = set(encoding.word_ids)
            mended = [word if place in there else unknown for place, word in enumerate(words)]
            encoding = tokenizer.control.encode(mended, is_pretokenized=True, add_special_tokens=False)
        if room is not None and len(encoding.ids) > room:
            encoding.truncate(room, min(overlap, room // 2))
        found.append(_word_rows(tokenizer, [encoding, *encoding.overflowing]))
    return found


def _word_rows(tokenizer: Tokenizer, windows: list[Any]) -> list[WordRow]:
    best: dict[int, tuple[int, int]] = {}  # word → (how much is around it, number of the window)
    rows: list[tuple[list[int], dict[int, int]]] = []
    for number, window in enumerate(windows):
        encoding = tokenizer.plain.post_process(window, add_special_tokens=True)
        first: dict[int, int] = {}
        for place, word in enumerate(encoding.word_ids):
            if word is not None and encoding.special_tokens_mask[place] == 0:
                first.setdefault(word, place)
        rows.append((encoding.ids, first))
        for word, place in first.items():
            # a word whose beginning is in the window before is cut off here
            cut = number > 0 and place == min(first.values())
            around = -1 if cut else min(place, len(encoding.ids) - 1 - place)
            if word not in best or around > best[word][0]:
                best[word] = (around, number)
    return [
        WordRow(ids, first, frozenset(word for word in first if best[word][1] == number))
        for number, (ids, first) in enumerate(rows)
    ]
