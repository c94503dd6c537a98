"""Tags of words and what they mean: which entities they spell, and where they break the rules of their scheme.

| scheme | one word | first | inside | last | outside |
|---|---|---|---|---|---|
| IOB1 | I, or B right after an entity of the same type | as one word | I | I | O |
| IOB2 | B | B | I | I | O |
| BIOES | S | B | I | E | O |
| BMES | S | B | M | E | O (or none: word segmentation) |
| BILOU | U | B | I | L | O |

`B-PER` carries a type; a bare `B` (word segmentation) has the type "_", as in seqeval.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal, NamedTuple

from hanmo.core.errors import ConfigError, DataError

__all__ = ["SCHEMES", "Entity", "Scheme", "entities", "illegal_tags", "in_bioes_letters", "loose_entities", "spell"]

Scheme = Literal["IOB1", "IOB2", "BIOES", "BMES", "BILOU"]

SCHEMES: dict[str, dict[str, str]] = {
    "IOB1": {"I": "I", "O": "O", "B": "B"},
    "IOB2": {"I": "I", "O": "O", "B": "B"},
    "BIOES": {"B": "B", "I": "I", "O": "O", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "O": "O", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "O": "O", "L": "E", "U": "S"},
}
"""Scheme → its prefixes → the same in BIOES letters."""


class Entity(NamedTuple):
    """A span of words with a type."""

    type: str
    start: int
    """First word."""
    end: int
    """Word after the last."""


@lru_cache(maxsize=1 << 14)
def _parsed(tag: str, scheme: str) -> tuple[str, str] | None:
    """(prefix in BIOES letters, type), None for what is no tag; few tags stand on many words."""
    letters = SCHEMES[scheme]
    if tag == "O":
        return "O", ""
    letter, hyphen, kind = tag[:1], tag[1:2], tag[2:]
    if letter not in letters or letter == "O" or (hyphen and (hyphen != "-" or not kind)):
        return None
    return letters[letter], kind or "_"


def in_bioes_letters(tags: Sequence[str], scheme: str, *, where: str = "tags") -> list[tuple[str, str]]:
    """(prefix in BIOES letters, type) of each tag of a sentence; a bare prefix has the type "_", O has "".

    Raises:
        ConfigError: for an unknown scheme.
        DataError: for a tag that the scheme does not have.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"unknown scheme {scheme!r}", where="scheme", remedy=f"Choose {', '.join(SCHEMES)}.")
    found = []
    for position, tag in enumerate(tags):
        parsed = _parsed(tag, scheme) if isinstance(tag, str) else None
        if parsed is None:
            raise DataError(
                f"{tag!r} is not a tag of {scheme}",
                where=f"{where}[{position}]",
                remedy=f"Tags are {', '.join(f'{letter}-TYPE' for letter in SCHEMES[scheme] if letter != 'O')} and O.",
            )
        found.append(parsed)
    return found


def _written(tags: Sequence[str], scheme: str, where: str) -> list[str]:
    """The tags in BIOES letters, as seqeval reads them."""
    return [f"{letter}-{kind}" if kind else letter for letter, kind in in_bioes_letters(tags, scheme, where=where)]


def _may_follow(before: tuple[str, str], now: tuple[str, str], scheme: str) -> bool:
    """Whether two neighbouring tags, in BIOES letters, obey the scheme; ("O", "") stands at both ends."""
    (letter_before, type_before), (letter, kind) = before, now
    same = letter_before != "O" and letter != "O" and type_before == kind
    if scheme == "IOB1":
        return letter != "B" or same  # B only parts an entity from its neighbour of the same type
    if scheme == "IOB2":
        return letter != "I" or same
    inside = letter_before in ("B", "I")  # an entity is open and has to go on
    return (letter in ("I", "E") and same) if inside else letter in ("B", "S", "O")


def illegal_tags(tags: Sequence[str], scheme: Scheme, *, where: str = "tags") -> list[int]:
    """Positions whose tag does not follow from the one before; the length of the sentence where its end is too early.

    Raises:
        ConfigError: for an unknown scheme.
        DataError: for a tag that the scheme does not have.
    """
    outside = ("O", "")
    both = pairwise([outside, *in_bioes_letters(tags, scheme, where=where), outside])
    return [position for position, (before, now) in enumerate(both) if not _may_follow(before, now, scheme)]


def entities(tags: Sequence[str], scheme: Scheme, *, where: str = "tags") -> list[Entity]:
    """The entities that the tags of one sentence spell, by the letter: what breaks the scheme spells nothing.

    The rules are those of seqeval's `mode="strict"`.

    Args:
        tags: one tag for each word.
        scheme: the scheme they are written in.
        where: what an error calls the sentence.

    Raises:
        ConfigError: for an unknown scheme.
        DataError: for a tag that the scheme does not have.
    """
    from seqeval.scheme import IOB1, IOB2, IOBES, Tokens

    rules = {"IOB1": IOB1, "IOB2": IOB2}.get(scheme, IOBES)
    found = Tokens(_written(tags, scheme, where), rules).entities
    return [Entity(entity.tag, entity.start, entity.end) for entity in found]


def loose_entities(tags: Sequence[str], scheme: Scheme, *, where: str = "tags") -> list[Entity]:
    """The entities as seqeval's default mode and conlleval read them: an I that follows nothing begins an entity.

    Raises:
        ConfigError: for an unknown scheme.
        DataError: for a tag that the scheme does not have.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    found = get_entities(_written(tags, scheme, where))
    return [Entity(kind, start, last + 1) for kind, start, last in found]


def spell(spans: Sequence[Entity], n_words: int, scheme: Scheme) -> list[str]:
    """Write entities as the tags of a sentence; the inverse of `entities`.

    Args:
        spans: in any order, none of which overlap.
        n_words: words of the sentence.
        scheme: how to write them.

    Raises:
        ConfigError: for an unknown scheme.
        DataError: for a span that is empty, outside of the sentence, or overlaps another.
    """
    if scheme not in SCHEMES:
        raise ConfigError(f"unknown scheme {scheme!r}", where="scheme", remedy=f"Choose {', '.join(SCHEMES)}.")
    letters = {meant: letter for letter, meant in SCHEMES[scheme].items()}
    tags, before = ["O"] * n_words, Entity("", 0, 0)
    for span in sorted(spans, key=lambda span: span.start):
        if not before.end <= span.start < span.end <= n_words:
            raise DataError(
                f"the span {span.start} to {span.end} is empty, outside of {n_words} words, or overlaps another",
                where="spans",
            )
        inner = ["I"] * (span.end - span.start)
        if scheme == "IOB1":
            inner[0] = "B" if before.end == span.start and before.type == span.type else "I"
        elif "S" not in letters:
            inner[0] = "B"
        elif len(inner) == 1:
            inner = ["S"]
        else:
            inner[0], inner[-1] = "B", "E"
        kind = "" if span.type == "_" else f"-{span.type}"
        tags[span.start : span.end] = [letters[letter] + kind for letter in inner]
        before = span
    return tags
