"""Full-width and half-width forms: Ａ１， beside A1, (the block U+FF01 to U+FF5E of Unicode, and the ideographic space).

Letters and digits are changed unless told otherwise. In Chinese text a full-width comma is the right one, so punctuation is
changed only when it is asked for. 。、“” and the like have no ASCII form and stay as they are.
"""

from __future__ import annotations

import string
from collections.abc import Collection
from functools import cache
from typing import Literal, get_args

from hanmo.core.errors import ConfigError

__all__ = ["WidthKind", "to_full_width", "to_half_width"]

WidthKind = Literal["letters", "digits", "punctuation", "space"]

_OFFSET = 0xFF01 - 0x21
_MEMBERS: dict[str, str] = {
    "letters": string.ascii_letters,
    "digits": string.digits,
    "punctuation": string.punctuation,
}


def to_half_width(text: str, kinds: Collection[WidthKind] = ("letters", "digits")) -> str:
    """Make full-width forms half-width.

    >>> to_half_width("Ｈａｎｍｏ，２０２６年")
    'Hanmo，2026年'

    Args:
        text: any text.
        kinds: which characters.

    Raises:
        ConfigError: for a kind that there is not.
    """
    return text if text.isascii() else text.translate(_table(_check(kinds), to_half=True))


def to_full_width(text: str, kinds: Collection[WidthKind] = ("letters", "digits")) -> str:
    """Make half-width forms full-width; see `to_half_width`.

    >>> to_full_width("好,1 个", ["punctuation"])
    '好，1 个'
    """
    return text.translate(_table(_check(kinds), to_half=False))


def _check(kinds: Collection[str]) -> frozenset[str]:
    unknown = set([kinds] if isinstance(kinds, str) else kinds) - set(get_args(WidthKind))
    if unknown:
        raise ConfigError(
            f"there is no kind of character {sorted(unknown)[0]!r}", where="kinds",
            remedy=f"Give a list of {', '.join(get_args(WidthKind))}.",
        )  # fmt: skip
    return frozenset([kinds] if isinstance(kinds, str) else kinds)


@cache
def _table(kinds: frozenset[str], *, to_half: bool) -> dict[int, int]:
    table = {}
    for kind, members in _MEMBERS.items():
        if kind in kinds:
            table |= {ord(character) + _OFFSET: ord(character) for character in members}
    if "space" in kinds:
        table[0x3000] = 0x20
    return table if to_half else {half: full for full, half in table.items()}
