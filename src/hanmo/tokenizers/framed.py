"""Texts and pairs of texts as rows with special tokens around them: whole, cut at the end, or as windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.encodable import is_encodable, not_encodable
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Framed", "encode_framed", "encode_windows", "text_room"]


@dataclass(frozen=True)
class Framed:
    """A text, or a pair of texts, with the special tokens around it that an encoder was trained with."""

    ids: list[int]
    """Token ids, special ones included."""
    token_type_ids: list[int]
    """Which segment each token belongs to."""
    truncated: bool = False
    """Whether the text was longer than allowed, and its end is missing."""


def encode_framed(
    tokenizer: Tokenizer,
    texts: Sequence[str | tuple[str, str]],
    *,
    max_len: int | None = None,
    overlong: Literal["error", "truncate"] = "error",
) -> list[Framed]:
    """Turn texts, or pairs of texts, into ids with special tokens around them, such as [CLS] … [SEP] … [SEP].

    Which tokens is the template of tokenizer.json; where that has none, nothing is added.

    Args:
        texts: each a string or a pair of strings.
        max_len: most tokens of a row, special ones included; any number if None.
        overlong: refuse a longer row, or cut its end (of a pair, that of the longer text). Special tokens stay.

    Raises:
        DataError: for a row that is too long, or holds half a surrogate pair.
        ConfigError: if `max_len` leaves no room for a text.
    """
    rows = [(text, None) if isinstance(text, str) else tuple(text) for text in texts]
    for number, row in enumerate(rows):
        if not all(text is None or is_encodable(text) for text in row):
            raise not_encodable(number)
    inputs: Any = [first if second is None else (first, second) for first, second in rows]
    encodings = tokenizer.plain.encode_batch_fast(inputs, add_special_tokens=True)
    framed = []
    for number, (encoding, (first, second)) in enumerate(zip(encodings, rows, strict=True)):
        cut = max_len is not None and len(encoding.ids) > max_len
        if cut and max_len is not None:
            if overlong == "error":
                raise DataError(
                    f"{len(encoding.ids)} tokens, but at most {max_len} are allowed", where=f"text {number}",
                    remedy='Shorten or split it, or cut its end with overlong="truncate".',
                )  # fmt: skip
            encoding = _encode_cut(tokenizer, first, second, max_len)
        framed.append(Framed(encoding.ids, encoding.type_ids, cut))
    return framed


def encode_windows(
    tokenizer: Tokenizer, texts: Sequence[str | tuple[str, str]], *, max_len: int | None, overlap: int
) -> list[list[Framed]]:
    """`encode_framed` without a longest text: a longer one becomes several rows that overlap.

    Of a pair the longer text is cut into windows, and the shorter stands whole in each.

    Args:
        texts: each a string or a pair of strings.
        max_len: most tokens of a row, special ones included; any number if None.
        overlap: tokens that a row shares with the one before, less if there is no room for so many.

    Returns:
        For each text its rows, at least one.

    Raises:
        DataError: for a pair whose shorter text leaves less than half of the room to the longer.
        ConfigError: if `max_len` leaves no room for a text.
    """
    found = [[row] for row in encode_framed(tokenizer, texts, max_len=None)]
    if max_len is None:
        return found
    for number, (text, whole) in enumerate(zip(texts, found, strict=True)):
        if len(whole[0].ids) > max_len:
            first, second = (text, None) if isinstance(text, str) else text
            found[number] = _windows(tokenizer, first, second, max_len, overlap, number)
    return found


def text_room(tokenizer: Tokenizer, max_len: int, *, pair: bool) -> int:
    """Tokens of a text, or of both of a pair, that fit between the special ones.

    Raises:
        ConfigError: if none does.
    """
    room = max_len - tokenizer.plain.num_special_tokens_to_add(pair)
    if room < 1:
        raise ConfigError(f"max_len {max_len} leaves no room between the special tokens", where="max_len")
    return room


def _windows(
    tokenizer: Tokenizer, first: str, second: str | None, max_len: int, overlap: int, number: int
) -> list[Framed]:
    coder, room = tokenizer.plain, text_room(tokenizer, max_len, pair=second is not None)
    one = coder.encode(first, add_special_tokens=False)
    two = None if second is None else coder.encode(second, add_special_tokens=False)
    longer = one if two is None or len(one.ids) >= len(two.ids) else two
    if two is not None:
        shorter = two if longer is one else one
        if len(shorter.ids) > room // 2:
            raise DataError(
                f"both texts of a pair are long ({len(one.ids)} and {len(two.ids)} tokens); {max_len} are allowed",
                where=f"text {number}", remedy="Shorten one of them.",
            )  # fmt: skip
        room -= len(shorter.ids)
    longer.truncate(room, min(overlap, room // 2))  # a short window moves on by half, not by a token
    rows = []
    for window in (longer, *longer.overflowing):
        pair = (window, two) if longer is one else (one, window)
        encoding = coder.post_process(*pair, add_special_tokens=True)
        rows.append(Framed(encoding.ids, encoding.type_ids))
    return rows


def _encode_cut(tokenizer: Tokenizer, first: str, second: str | None, max_len: int) -> Any:
    coder, room = tokenizer.plain, text_room(tokenizer, max_len, pair=second is not None)
    one = coder.encode(first, add_special_tokens=False)
    two = None if second is None else coder.encode(second, add_special_tokens=False)
    if two is None:
        one.truncate(room)
    else:  # the shorter one stays whole while it takes no more than half of the room
        longer, shorter = (one, two) if len(one.ids) >= len(two.ids) else (two, one)
        shorter.truncate(min(len(shorter.ids), room // 2))
        longer.truncate(room - len(shorter.ids))
    return coder.post_process(one, two, add_special_tokens=True)
