"""Taking stretches out of a text so that what is left reads on."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["remove_spans"]

_SPACE = re.compile(r"\s*")
_SPACED_LETTER = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""A letter or digit of a script that has spaces between words."""


def remove_spans(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Remove stretches; all other characters stay, except white space where a cut was.

    At a cut the longer of the line breaks on its two sides is kept, at most one blank line, and the indentation of what
    follows. Two words that would meet get a space.

    Args:
        text: any text.
        spans: (start, end) each, in any order; they may overlap.
    """
    pieces: list[str] = []
    kept_to = 0
    for start, end in _merged(text, spans):
        before = max(kept_to, _space_before(text, start))
        after = _end_of_space(text, end)
        pieces += [
            text[kept_to:before],
            _joint(text[before:start], text[end:after], text[before - 1 : before], text[after : after + 1]),
        ]
        kept_to = after
    return "".join([*pieces, text[kept_to:]])


def _merged(text: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches in order, those joined that overlap or have only white space between them."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((start, end) for start, end in spans if end > start):
        if merged and (start <= merged[-1][1] or _end_of_space(text, merged[-1][1], start) == start):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _end_of_space(text: str, place: int, limit: int | None = None) -> int:
    found = _SPACE.match(text, place, len(text) if limit is None else limit)
    return found.end() if found else place


def _space_before(text: str, place: int) -> int:
    while place and text[place - 1].isspace():
        place -= 1
    return place


def _joint(left: str, right: str, before: str, after: str) -> str:
    """What replaces the white space on the two sides of a cut between the characters `before` and `after`."""
    indentation = right.rpartition("\n")[2] if "\n" in right else ""
    if not before:
        return indentation if after else ""
    n_breaks = min(2, max(left.count("\n"), right.count("\n")))
    if not after:
        return "\n" if "\n" in right else ""
    if n_breaks:
        return "\n" * n_breaks + (indentation or (left.rpartition("\n")[2] if not right else ""))
    if left or right:
        return right or left
    return " " if _SPACED_LETTER.match(before) and _SPACED_LETTER.match(after) else ""
