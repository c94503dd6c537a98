"""What the detectors of personal data share: kinds, spans, folded text, and the words around a match.

Chinese has no spaces round a number and a Han character counts as a word character, so `\\b` finds no edge in 电话138….
Edges are looked for among ASCII letters and digits alone.

What a detector looks at beside its match ends at a `<`, `>` or NUL. So it cannot tell a span that was found before, which is
a run of NULs in the folded text, from the placeholder that stands there afterwards; redaction is idempotent for that reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["KINDS", "Kind", "Span", "fold", "placeholder", "words_after", "words_before"]

Kind = Literal["url", "email", "cn-id", "bank-card", "ip", "phone", "passport", "plate"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""All kinds, the most certain first."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Personal data in a text."""

    start: int
    """Position of the first character."""
    end: int
    """Position after the last."""
    kind: Kind


def placeholder(kind: Kind) -> str:
    """What stands for a span of this kind in the redacted text: `<CN_ID>` for "cn-id"."""
    return f"<{kind.upper().replace('-', '_')}>"


_FOLDED = {chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F) if chr(code).isalnum() or chr(code) in "+-.@"}
_FOLDED |= dict.fromkeys("‐‑‒–−", "-") | dict.fromkeys("\u00a0\u2002\u2009\u202f\u3000", " ")
_FOLDABLE = re.compile("[" + "".join(map(re.escape, _FOLDED)) + "]")


def fold(text: str) -> str:
    """Full-width letters, digits and marks, dashes and spaces as their ASCII ones, each in its place.

    Brackets, colon and question mark stay as they are: in full width they end a URL, and are no part of an IPv6 address.
    """
    return text if text.isascii() else _FOLDABLE.sub(lambda match: _FOLDED[match[0]], text)


_FENCE = re.compile("[<>\0\n。；！？]")


def words_before(text: str, start: int, width: int = 24) -> str:
    """What stands before a match in its sentence, at most `width` characters."""
    near = text[max(0, start - width) : start]
    fences = [fence.end() for fence in _FENCE.finditer(near)]
    return near[fences[-1] :] if fences else near


def words_after(text: str, end: int, width: int = 12) -> str:
    """What stands after a match in its sentence, at most `width` characters."""
    near = text[end : end + width]
    fence = _FENCE.search(near)
    return near[: fence.start()] if fence else near
