"""Text to character numbers: characters are counted in one pass, the rest is arrays."""

from __future__ import annotations

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.progress import Bar
from hanmo.ngrams.lines import read_batches
from hanmo.ngrams.settings import NgramSettings
from hanmo.ngrams.units import SPACE, character_spaces
from hanmo.text.han import code_points
from hanmo.tokenizers.word_blocks import Source
from hanmo.tokenizers.word_ids import WordIds

__all__ = ["read_character_ids"]


def read_character_ids(source: Source, settings: NgramSettings, bar: Bar | None = None) -> WordIds:
    """Read a text as character numbers; any white space is the one character `SPACE`, others may be -1.

    The vocabulary is by falling count, characters of equal count by code point.

    Raises:
        DataError: if no character occurs often enough; as `read_batches`.
        FormatError: as `read_batches`.
    """
    counts = np.zeros(0x110000, np.int64)
    space, spaces = ord(SPACE), character_spaces()
    parts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    n = 0
    for batch in read_batches(source):
        points = code_points("".join(batch.lines)).astype(np.int32)
        counts += np.bincount(points, minlength=len(counts))
        parts.append(points)
        ends.append(np.cumsum([len(line) for line in batch.lines], dtype=np.int64) + n)
        n += len(points)
        if bar is not None:
            bar.advance(len(points))
    counts[space] += counts[spaces].sum()
    counts[spaces] = 0
    order = np.argsort(-counts, kind="stable")
    chosen = order[: int(np.count_nonzero(counts >= settings.min_count))][: settings.max_words]
    if not len(chosen):
        raise DataError(
            f"no character occurs {settings.min_count} times (min_count)" if n else "there is no text",
            remedy="Lower min_count." if n else "Check that it is the right file.",
        )
    numbers = np.full(len(counts), -1, np.int32)
    numbers[chosen] = np.arange(len(chosen))
    numbers[spaces] = numbers[space]
    for part in parts:
        part[:] = numbers[part]
    return WordIds(tuple(map(chr, chosen.tolist())), counts[chosen], np.concatenate(parts), np.concatenate(ends), n)
