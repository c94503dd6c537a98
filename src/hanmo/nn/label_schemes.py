"""Which label may follow which where spans are written as one label per token.

BIO (IOB2): B-X begins every span, I-X goes on. IOB1 (Ramshaw & Marcus, 1995): I-X everywhere, B-X only where a span of
the same kind has just ended. BIOES: E-X ends a span, S-X is a span of one. BMES: the same with M for I, as Chinese word
segmentation has it, often without kinds (B, M, E, S).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hanmo.core.errors import ConfigError

__all__ = ["LabelScheme", "Limits", "guess_scheme", "label_limits"]

LabelScheme = Literal["BIO", "IOB1", "BIOES", "BMES"]

_PREFIXES: dict[LabelScheme, str] = {"BIO": "OBI", "IOB1": "OBI", "BIOES": "OBIES", "BMES": "OBMES"}


@dataclass(frozen=True)
class Limits:
    """What a sequence of labels may look like. C labels."""

    labels: tuple[str, ...]
    """Their names, C."""
    transitions: tuple[tuple[bool, ...], ...]
    """Whether the second may follow the first, (C, C)."""
    start: tuple[bool, ...]
    """Whether a sequence may begin with it, (C,)."""
    end: tuple[bool, ...]
    """Whether a sequence may end with it, (C,)."""


def guess_scheme(labels: Sequence[str]) -> LabelScheme | None:
    """The scheme that these names follow; None if they follow none.

    B, I and O alone are taken for BIO: IOB1 looks the same and must be asked for.
    """
    parsed = [_parse(label) for label in labels]
    prefixes = {part[0] for part in parsed if part is not None}
    if None in parsed or not prefixes & {"B", "S"}:
        return None
    for scheme in ("BIO", "BIOES", "BMES"):
        if prefixes <= set(_PREFIXES[scheme]):
            return scheme
    return None


def label_limits(labels: Sequence[str], scheme: LabelScheme) -> Limits:
    """Limits that a scheme puts on sequences of these labels.

    Args:
        labels: names such as "O", "B-PER", "I_PER" or "S".
        scheme: how spans are written.

    Raises:
        ConfigError: for a scheme that there is not, or a label that it does not have.
    """
    if scheme not in _PREFIXES:
        raise ConfigError(
            f"unknown scheme {scheme!r}", where="scheme", remedy=f"Choose one of {', '.join(get_args(LabelScheme))}."
        )
    parts: list[tuple[str, str]] = []
    for label in labels:
        part = _parse(label)
        if part is None or part[0] not in _PREFIXES[scheme]:
            raise ConfigError(
                f"{label!r} is no label of the scheme {scheme}", where="labels",
                remedy=f"Its labels begin with one of {', '.join(_PREFIXES[scheme])}.",
            )  # fmt: skip
        parts.append(part)
    return Limits(
        labels=tuple(labels),
        transitions=tuple(tuple(_may_follow(scheme, before, after) for after in parts) for before in parts),
        start=tuple(_may_follow(scheme, _NOTHING, part) for part in parts),
        end=tuple(_may_follow(scheme, part, _NOTHING) for part in parts),
    )


_NOTHING = ("O", "")
"""What lies before the first and after the last token is outside of every span."""


def _parse(label: str) -> tuple[str, str] | None:
    """Prefix and kind."""
    if label == "O":
        return _NOTHING
    prefix, separator, kind = label[:1], label[1:2], label[2:]
    return (prefix, kind) if prefix in tuple("BIMES") and separator in ("-", "_", "") else None


def _may_follow(scheme: LabelScheme, before: tuple[str, str], after: tuple[str, str]) -> bool:
    same_span = before[0] in "BIM" and before[1] == after[1]
    match scheme:
        case "BIO":
            return after[0] != "I" or same_span
        case "IOB1":
            return after[0] != "B" or same_span
        case "BIOES" | "BMES":
            is_open, goes_on = before[0] in "BIM", after[0] in "IME"
            return same_span if is_open and goes_on else is_open == goes_on
