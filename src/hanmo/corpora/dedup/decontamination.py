"""What to do with a document that has evaluation texts in it: drop it, or cut them out (GPT-3: Brown et al., 2020, appendix C)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError
from hanmo.corpora.dedup.contamination import Match
from hanmo.corpora.dedup.letters import fold

__all__ = ["MARGIN", "MAX_PIECES", "MIN_PIECE", "decontaminate"]

MARGIN = 200
"""Letters that go on each side of a match, a wide character counting as two: what a question stands in may answer it."""
MIN_PIECE = 200
"""Shortest piece that is left, in the same letters."""
MAX_PIECES = 10
"""A document that falls into more pieces is dropped."""


def decontaminate(text: str, matches: Sequence[Match], policy: Literal["drop", "cut"]) -> list[str]:
    """What is left of a document.

    "drop" leaves nothing. It suits short documents, such as tweets and pages. "cut" takes out each match with what stands around
    it and leaves the pieces between, each to be a document of its own: for books, of which GPT-3 would otherwise
    have lost whole ones to one quoted line.

    Args:
        text: the document.
        matches: as `contamination.find` gives them for it.
        policy: what to do where there are any.

    Returns:
        The document itself if there are no matches; else its pieces in order, or none.

    Raises:
        ConfigError: for another policy.
    """
    if policy not in ("drop", "cut"):
        raise ConfigError(f"policy must be 'drop' or 'cut', got {policy!r}", where="policy")
    if not matches:
        return [text]
    if policy == "drop":
        return []
    letters = fold(text)
    n = len(letters.points)
    sizes = np.append(0, np.cumsum(np.where(letters.wide, 2, 1)))
    words, places = np.append(letters.words, n), np.append(letters.places, len(text))
    starts = np.searchsorted(letters.places, [match.start for match in matches])
    ends = np.searchsorted(letters.places, [match.end for match in matches])
    # in letters, to the next border between words
    lows = np.maximum(np.searchsorted(sizes, sizes[starts] - MARGIN, side="right") - 1, 0)
    lows = words[np.searchsorted(words, lows, side="right") - 1]
    highs = words[np.searchsorted(words, np.minimum(np.searchsorted(sizes, sizes[ends] + MARGIN), n))]
    pieces: list[str] = []
    kept_from = 0
    for low, high in [*sorted(zip(lows.tolist(), highs.tolist(), strict=True)), (n, n)]:
        if low > kept_from and sizes[low] - sizes[kept_from] >= MIN_PIECE:
            pieces.append(text[places[kept_from] if kept_from else 0 : places[low]].strip())
        kept_from = max(kept_from, high)
    return pieces if len(pieces) <= MAX_PIECES else []
