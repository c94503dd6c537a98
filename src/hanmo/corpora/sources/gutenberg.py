"""Books of Project Gutenberg: the header in front of the text and the licence behind it, found by their marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Header", "find_header", "until_licence"]

_HEADER_CHARS = 60_000
"""How far into a file its header may reach; the old small print was long."""
_TAIL_CHARS = 2_000
"""Text that is held back, so that a mark across two blocks is seen whole."""

_START = re.compile(
    r"^[ \t]*(?:\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG [^\n]*(?:\n[^\n*]+)?\*{3}|\*END\*? ?THE SMALL PRINT)"
    r"[^\n]*\n?",
    re.MULTILINE | re.IGNORECASE,
)
_CREDIT = re.compile(
    r"(?:[ \t\r]*\n)*(?:Produced|E-text prepared|This e-?Book was produced|Transcribed)\b[^\n]*?\bby [^\n]*\n"
    r"(?:[^\n]*\S[^\n]*\n(?=[ \t\r]*\n))?",
    re.IGNORECASE,
)
_END = re.compile(
    r"^[ \t]*(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG |End of (?:the |this )?Project Gutenberg(?:'s|\u2019s| E)"
    r"|\*{3} ?START: FULL LICENSE)",
    re.MULTILINE | re.IGNORECASE,
)
_FIELDS = re.compile(r"^(Title|Author|Translator|Language):[ \t]*(\S[^\n]*(?:\n[ \t]+\S[^\n]*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the text of a book."""

    end: int
    """Where the text begins, in characters."""
    meta: dict[str, str]
    """`title`, `author`, `translator` and `language`, as far as the header names them."""


def find_header(text: str) -> Header | None:
    """Find the header of Project Gutenberg at the beginning of a text; None where there is none."""
    beginning = text[:_HEADER_CHARS]
    if "gutenberg" not in beginning.lower():
        return None
    marks = list(_START.finditer(beginning))
    if not marks:
        return None
    fields = _FIELDS.findall(beginning[: marks[-1].start()])
    meta = {name.lower(): " ".join(value.split()) for name, value in reversed(fields)}
    end = marks[-1].end()
    if credit := _CREDIT.match(beginning, end):
        end = credit.end()
    return Header(end, meta)


def until_licence(blocks: Iterable[str], start: int) -> Iterator[str]:
    """The blocks of a book from `start` (a place in the first block) up to the licence, or to the end.

    Args:
        blocks: the whole text.
        start: where the text begins, from `find_header`.
    """
    rest = ""
    for block in blocks:
        rest += block[start:]
        start = 0
        if mark := _END.search(rest):
            yield rest[: mark.start()].rstrip()
            return
        if len(rest) > _TAIL_CHARS:
            keep = rest.rfind("\n", 0, -_TAIL_CHARS) + 1  # the tail begins at a line, as a mark does
            yield rest[:keep]
            rest = rest[keep:]
    yield rest
