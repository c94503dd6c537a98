"""The part of a stream of texts that a vocabulary is learnt from, in bounded memory."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator

from hanmo.core.errors import DataError

__all__ = ["common_characters", "sample_slices", "without_others"]

_SLICE = 1 << 13
"""Characters."""


def sample_slices(texts: Iterable[str], max_bytes: int, seed: int) -> list[str]:
    """A uniform sample of slices of 8 Ki characters, in their order; all of them where there are not too many.

    Those with the smallest random keys are kept, so every slice of a text of any length has the same chance, and no more
    than the sample is held in memory.

    Args:
        texts: read once.
        max_bytes: about so many bytes (UTF-8) are kept.
        seed: chooses the sample.

    Raises:
        DataError: if the texts are all empty or one is not encodable.
    """
    draw = random.Random(seed)
    heap: list[tuple[float, int, int, str]] = []  # (-key, number, bytes, slice): the largest key on top
    held = 0
    for number, piece in enumerate(_slices(texts)):
        entry = (-draw.random(), number, _n_bytes(piece, number), piece)
        heapq.heappush(heap, entry)
        held += entry[2]
        while held - heap[0][2] >= max_bytes:
            held -= heapq.heappop(heap)[2]
    if not heap:
        raise DataError("there is no text to train a tokenizer on", remedy="Check the corpus: all documents are empty.")
    return [entry[3] for entry in sorted(heap, key=lambda entry: entry[1])]


def common_characters(texts: Iterable[str], most: int) -> str:
    """The characters of the texts without white space, the most frequent first, `most` of them at most.

    Characters that are seen equally often come in the order of their code points.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    ranked = sorted((c for c in counts if not c.isspace()), key=lambda c: (-counts[c], c))
    return "".join(ranked[:most])


def without_others(texts: Iterable[str], alphabet: str) -> list[str]:
    """The texts with a space for each character that is neither white space nor in the alphabet."""
    kept = set(alphabet)
    seen: set[str] = set()
    texts = list(texts)
    for text in texts:
        seen.update(text)
    table = dict.fromkeys((ord(c) for c in seen - kept if not c.isspace()), " ")
    return [text.translate(table) for text in texts] if table else texts


def _slices(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), _SLICE):
            yield text[start : start + _SLICE]


def _n_bytes(piece: str, number: int) -> int:
    try:
        return len(piece.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise DataError(
            "half a surrogate pair cannot be encoded",
            where=f"slice {number} of the training text",
            remedy="Repair the text first: hanmo.text.repair.repair does.",
        ) from error
