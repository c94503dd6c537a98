"""Texts of evaluation sets inside documents: found whole, or by their n-grams (GPT-3: Brown et al., 2020, appendix C).

What is compared are letters (`dedup.letters`): case, width, white space and punctuation do not count.

- A **whole** text of at least eight words or 13 Chinese characters is found wherever it stands in a document: "exact" if
  it is the same to the character, else "normalised". Shorter ones (yes, 1990, 北京) say nothing and are counted, not looked for.
- An **n-gram** is 13 words of a script with spaces, or 20 Han, kana or hangul characters, or a mixture that adds up to as much.

Long and common are different things: a licence, a proverb and the opening of a law are in many documents and in evaluation
texts too. As in GPT-3, an n-gram of more than `MAX_DOCUMENTS` documents of the corpus is no sign by itself; `count_documents`
counts them first. Unlike there, a text that was copied whole, or nearly so, is reported however many copies there are, and
n-grams that many texts of one set share are left out of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hanmo.corpora.dedup.evaluation_index import ANCHOR, GRAM, Batch, EvaluationIndex, batches, raw_key

__all__ = ["COPIED", "MAX_DOCUMENTS", "Match", "count_documents", "find", "find_all"]

MAX_DOCUMENTS = 10
"""Most documents of a corpus that an n-gram may be in and still be a sign of contamination (GPT-3's number)."""
COPIED = 0.8
"""Share of the n-grams of a text from which it counts as copied, even if all of them are common."""


@dataclass(frozen=True, slots=True)
class Match:
    """A stretch of a document that is, or is part of, a text of an evaluation set."""

    name: str
    """Name of the set."""
    number: int
    """Which of its texts, counted from 0 in the order of its files."""
    kind: Literal["exact", "normalised", "n-gram"]
    """How much of it is the same."""
    start: int
    """Where the stretch begins in the document, in characters."""
    end: int
    """Where it ends."""
    share: float
    """Share of the distinct n-grams of the evaluation text that are anywhere in the document; 1 where it is whole."""


def count_documents(index: EvaluationIndex, texts: Iterable[str]) -> np.ndarray:
    """In how many documents each n-gram of the evaluation texts is, (n_grams,), int64.

    Counts of the parts of a corpus are added up; `counts > MAX_DOCUMENTS` is what `find` takes as `common`.
    """
    counts = np.zeros(index.n_grams, dtype=np.int64)
    for batch in batches(texts):
        grams = batch.grams(GRAM)
        places, at = index.look_up("gram", grams.keys)
        own = batch.text_of(grams.starts[places])
        inside = grams.ends[places] <= batch.ends[own]
        pairs = np.unique(own[inside] * index.n_grams + at[inside])  # a document counts once
        np.add.at(counts, pairs % index.n_grams, 1)
    return counts


def find_all(
    index: EvaluationIndex, texts: Iterable[str], *, common: np.ndarray | None = None, min_share: float = 0.0
) -> Iterator[list[Match]]:
    """As `find` for each document in order, in a fraction of the time where they are short and few are contaminated."""
    for batch in batches(texts):
        grams, anchors = batch.grams(GRAM), batch.grams(ANCHOR)
        hits = [
            grams.starts[index.look_up("gram", grams.keys)[0]],
            anchors.starts[index.look_up("anchor", anchors.keys)[0]],
        ]
        suspects = set(batch.text_of(np.concatenate(hits)).tolist())
        for number, text in enumerate(batch.texts):
            yield find(index, text, common=common, min_share=min_share) if number in suspects else []


def find(index: EvaluationIndex, text: str, *, common: np.ndarray | None = None, min_share: float = 0.0) -> list[Match]:
    """Find evaluation texts in a document.

    Args:
        index: the evaluation texts.
        text: the document.
        common: (n_grams,), bool: n-grams that are in too many documents to be a sign.
        min_share: least share of its n-grams by which a text that is not there as a whole is reported.

    Returns:
        Matches in the order of their places; one for each stretch of n-grams without a gap.
    """
    batch = Batch([text])
    whole = _whole(index, batch)
    parts = _parts(index, batch, common, min_share, set(whole))
    return sorted([*whole.values(), *parts], key=lambda match: (match.start, match.end, match.name, match.number))


def _whole(index: EvaluationIndex, batch: Batch) -> dict[int, Match]:
    """The first place of each text that is there from its first word to its last."""
    arrays, letters = index.arrays, batch.letters
    n, anchors = len(letters.points), batch.grams(ANCHOR)
    places, at = index.look_up("anchor", anchors.keys)
    is_border = np.zeros(n + 1, dtype=bool)
    is_border[batch.words], is_border[n] = True, True
    found: dict[int, Match] = {}
    for start, first in zip(anchors.starts[places].tolist(), at.tolist(), strict=True):
        last = np.searchsorted(arrays["anchors"], arrays["anchors"][first], side="right")
        texts = arrays["anchor_texts"][first:last]
        ends = np.minimum(start + arrays["text_lengths"][texts], n)
        same = (batch.hashes(np.full(len(ends), start), ends) == arrays["text_keys"][texts]) & is_border[ends]
        for number, end in zip(texts[same].tolist(), ends[same].tolist(), strict=True):
            if number not in found:
                low, high = int(letters.places[start]), int(letters.places[end - 1]) + 1
                kind = "exact" if raw_key(batch.text[low:high]) == arrays["text_raw"][number] else "normalised"
                found[number] = _match(index, number, kind, low, high, 1.0)
    return found


def _parts(
    index: EvaluationIndex, batch: Batch, common: np.ndarray | None, min_share: float, whole: set[int]
) -> list[Match]:
    """Stretches of n-grams, by text."""
    grams, arrays = batch.grams(GRAM), index.arrays
    places, at = index.look_up("gram", grams.keys)
    if not len(places):
        return []
    firsts = arrays["gram_ends"][at]
    counts = arrays["gram_ends"][at + 1] - firsts
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    texts = arrays["gram_texts"][np.repeat(firsts, counts) + offsets]
    order = np.argsort(texts, kind="stable")
    texts, places, at = texts[order], np.repeat(places, counts)[order], np.repeat(at, counts)[order]
    edges = np.flatnonzero(np.diff(texts)) + 1
    matches: list[Match] = []
    for number, own, own_at in zip(
        texts[np.append(0, edges)].tolist(), np.split(places, edges), np.split(at, edges), strict=True
    ):
        share = len(np.unique(own_at)) / int(arrays["text_grams"][number])
        is_common = common is not None and bool(common[own_at].all()) and share < COPIED
        if number in whole or share < min_share or is_common:
            continue
        starts, ends = grams.starts[own], grams.ends[own]
        gaps = np.flatnonzero(starts[1:] > ends[:-1]) + 1
        for low, high in zip(starts[np.append(0, gaps)], ends[np.append(gaps, len(ends)) - 1], strict=True):
            start, end = int(batch.letters.places[low]), int(batch.letters.places[high - 1]) + 1
            matches.append(_match(index, number, "n-gram", start, end, share))
    return matches


def _match(
    index: EvaluationIndex,
    number: int,
    kind: Literal["exact", "normalised", "n-gram"],
    start: int,
    end: int,
    share: float,
) -> Match:
    of_set = int(index.arrays["text_sets"][number])
    return Match(index.names[of_set], int(index.arrays["text_numbers"][number]), kind, start, end, share)
