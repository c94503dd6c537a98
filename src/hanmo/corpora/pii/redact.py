"""Redaction of personal data: every span becomes a placeholder that names its kind, such as `<EMAIL>`.

Found are things with a form: addresses, numbers and secrets in URLs. Names of people, postal addresses and everything that
only its meaning makes personal are not found. A corpus is less of a risk after this, not free of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hanmo.corpora.pii.network import find_emails, find_ips, find_urls
from hanmo.corpora.pii.numbers import find_bank_cards, find_passports, find_phones, find_plates, find_resident_ids
from hanmo.corpora.pii.spans import KINDS, Kind, Span, fold, placeholder

__all__ = ["Redacted", "find_pii", "redact"]

_DETECTORS: dict[Kind, Callable[[str], Iterator[Span]]] = {
    "url": find_urls,
    "email": find_emails,
    "cn-id": find_resident_ids,
    "bank-card": find_bank_cards,
    "ip": find_ips,
    "phone": find_phones,
    "passport": find_passports,
    "plate": find_plates,
}


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its personal data, and where it was."""

    text: str
    spans: tuple[Span, ...]
    """What was replaced, in order; positions are those of the text before."""

    @property
    def counts(self) -> dict[str, int]:
        """How many spans were replaced, by kind."""
        found = Counter(span.kind for span in self.spans)
        return {kind: found[kind] for kind in KINDS if found[kind]}


def redact(text: str, kinds: Collection[Kind] = KINDS) -> Redacted:
    """Put a placeholder in the place of every span of personal data; all other characters stay as they are.

    Redacting the result once more changes nothing.

    Args:
        text: any text, in any language.
        kinds: what to look for.

    Raises:
        ValueError: if a kind is unknown.
    """
    spans = find_pii(text, kinds)
    parts, done = [], 0
    for span in spans:
        parts += [text[done : span.start], placeholder(span.kind)]
        done = span.end
    return Redacted("".join([*parts, text[done:]]) if spans else text, spans)


def find_pii(text: str, kinds: Collection[Kind] = KINDS) -> tuple[Span, ...]:
    """Find personal data: spans in order, none over another. Where two meet the longer wins, then the more certain.

    Args:
        text: any text, in any language.
        kinds: what to look for.

    Raises:
        ValueError: if a kind is unknown.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"unknown kinds of personal data {unknown}; known are {', '.join(KINDS)}")
    folded, found = fold(text), []
    # What is found becomes NULs and the rest is searched again, since that may uncover something: what a placeholder
    # stands beside is seen as it will be seen in the redacted text.
    while spans := _without_overlaps([span for kind in KINDS if kind in kinds for span in _DETECTORS[kind](folded)]):
        found += spans
        folded = _blank(folded, spans)
    return tuple(sorted(found))


def _without_overlaps(spans: list[Span]) -> list[Span]:
    if len(spans) < 2:
        return spans
    spans.sort(key=lambda span: (span.start - span.end, KINDS.index(span.kind), span.start))
    taken: set[int] = set()
    kept = []
    for span in spans:
        places = range(span.start, span.end)
        if taken.isdisjoint(places):
            taken.update(places)
            kept.append(span)
    return sorted(kept)


def _blank(text: str, spans: list[Span]) -> str:
    parts, done = [], 0
    for span in spans:
        parts += [text[done : span.start], "\0" * (span.end - span.start)]
        done = span.end
    return "".join([*parts, text[done:]])
