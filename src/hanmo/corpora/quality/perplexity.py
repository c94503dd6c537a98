"""A filter by perplexity (CCNet: Wenzek et al., 2020, §3.3): text that a language model of good text finds odd is odd.

The model comes from the caller, as a function from a text to bits per character, so that any will do: an n-gram model of
`hanmo.ngrams`, or a neural one. Bits differ between languages and models, so bounds are found from documents: CCNet takes
percentiles of each language. What lies above is menus, lists, broken encodings and other languages; what lies far below is
repetition and boilerplate.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import ConfigError, DataError

__all__ = ["MIN_DOCUMENTS", "Bounds", "find_bounds", "perplexity_problem"]

MIN_DOCUMENTS = 20
"""Fewest documents of a language of which percentiles say anything."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bits per character that a document may have, both ends included."""

    low: float
    """Fewer are too easy to foresee."""
    high: float
    """More are too hard."""


def find_bounds(
    documents: Iterable[tuple[str, str]],
    bits_per_character: Callable[[str], float],
    *,
    percentiles: tuple[float, float] = (1.0, 99.0),
) -> dict[str, Bounds]:
    """Find bounds for each language from a sample of documents.

    Args:
        documents: texts with their languages.
        bits_per_character: gives the bits per character of a text under a language model.
        percentiles: of the documents, lower and upper, in [0, 100]. CCNet's thirds are (0, 33.3) and (0, 66.7).

    Returns:
        Bounds by language, for those with at least `MIN_DOCUMENTS` documents.

    Raises:
        ConfigError: if the percentiles are no range in [0, 100].
        DataError: if the model gives no number for a document.
    """
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ConfigError(
            f"percentiles must ascend within 0 and 100, got {percentiles}", where="find_bounds", remedy="Pass (1, 99)."
        )
    bits = defaultdict(list)
    for text, lang in documents:
        bits[lang].append(_bits(text, bits_per_character))
    return {
        lang: Bounds(*map(float, np.percentile(found, (low, high))))
        for lang, found in bits.items()
        if len(found) >= MIN_DOCUMENTS
    }


def perplexity_problem(
    text: str, lang: str, bits_per_character: Callable[[str], float], bounds: Mapping[str, Bounds]
) -> str | None:
    """Say on which side of the bounds of its language a text lies, or None; a language without bounds passes.

    Raises:
        DataError: if the model gives no number for the text.
    """
    if lang not in bounds:
        return None
    bits = _bits(text, bits_per_character)
    if bits > bounds[lang].high:
        return "unlike good text (perplexity)"
    return "too easy to foresee (perplexity)" if bits < bounds[lang].low else None


def _bits(text: str, bits_per_character: Callable[[str], float]) -> float:
    bits = float(bits_per_character(text))
    if math.isnan(bits):
        raise DataError(
            f"the language model gives no number for {text[:40]!r}",
            where="bits_per_character",
            remedy="Leave out empty documents before.",
        )
    return bits
