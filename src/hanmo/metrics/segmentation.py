"""Chinese word segmentation: F1 over words, as in the SIGHAN bakeoffs (Emerson, 2005), and recall of unknown words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hanmo.core.errors import DataError
from hanmo.metrics.checks import as_list, check_pairs, check_texts
from hanmo.metrics.per_example import PerExample, f1_of_sums
from hanmo.metrics.tag_schemes import in_bioes_letters

__all__ = ["SegmentationScores", "segmentation_examples", "segmentation_scores", "words_of_tags"]


@dataclass(frozen=True)
class SegmentationScores:
    """How well text was cut into words."""

    precision: float
    """Share of the predicted words that are right at both ends, 0..1."""
    recall: float
    """Share of the words of the references that were found, 0..1."""
    f1: float
    """Harmonic mean of the two, 0..1."""
    n_words: int
    """Words in the references."""
    unknown_recall: float | None
    """Recall of the words that the training text does not have, 0..1; None where it was not given or has them all."""
    known_recall: float | None
    """Recall of the words that it has, 0..1; None likewise."""


def words_of_tags(characters: Sequence[str], tags: Sequence[str], *, where: str = "tags") -> list[str]:
    """Words from one BMES tag for each character.

    Every B and S begins a word, and so does whatever follows an E or S: a predicted sequence that breaks the scheme
    still cuts the whole text into words.

    Raises:
        DataError: for lists of different lengths, or a tag other than B, M, E, S (a type after it is ignored).
    """
    if len(characters) != len(tags):
        raise DataError(f"{len(tags)} tags for {len(characters)} characters", where=where)
    words: list[str] = []
    closed = True
    for position, (character, (letter, _)) in enumerate(
        zip(characters, in_bioes_letters(tags, "BMES", where=where), strict=True)
    ):
        if letter == "O":
            raise DataError(
                "the tag O means no word; in segmentation every character is in one", where=f"{where}[{position}]"
            )
        if closed or letter in "BS":
            words.append(character)
        else:
            words[-1] += character
        closed = letter in "ES"
    return words


def _ends(words: Sequence[str]) -> set[tuple[int, int]]:
    """(first, after last) character of each word."""
    ends = np.cumsum([0, *map(len, words)]).tolist()
    return set(pairwise(ends))


def _read(
    predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]]
) -> list[tuple[list[str], list[str]]]:
    predicted, expected = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(predicted, expected)
    pairs = []
    for sentence, (ours, right) in enumerate(zip(predicted, expected, strict=True)):
        for name, words in (("predictions", ours), ("references", right)):
            if isinstance(words, str):
                raise DataError("a text where a list of words belongs", where=f"{name}[{sentence}]")
            check_texts(words, f"{name}[{sentence}]")
            if "" in words:
                raise DataError("a word is empty", where=f"{name}[{sentence}]")
        if "".join(ours) != "".join(right):
            raise DataError(
                f"the words spell another text than the reference: {''.join(ours)[:30]!r} and {''.join(right)[:30]!r}",
                where=f"predictions[{sentence}]",
                remedy="Segmentation may cut a text, not change it: check spaces, full-width forms and truncation.",
            )
        pairs.append((list(ours), list(right)))
    return pairs


def segmentation_scores(
    predictions: Iterable[Sequence[str]],
    references: Iterable[Sequence[str]],
    *,
    known_words: Collection[str] | None = None,
) -> SegmentationScores:
    """Precision, recall and F1 over words.

    Args:
        predictions: the words of each sentence.
        references: the right words of the same sentences.
        known_words: the words of the training text, for the recall of unknown ones; None leaves that out.

    Raises:
        DataError: for lists of different lengths, empty ones, or words that spell another text.
    """
    correct = n_predicted = n_expected = 0
    found = {True: [0, 0], False: [0, 0]}  # known or not → found, all
    for ours, right in _read(predictions, references):
        cuts = _ends(ours)
        start = 0
        for word in right:
            hit = (start, start + len(word)) in cuts
            start += len(word)
            correct += hit
            if known_words is not None:
                known = found[word in known_words]
                known[0] += hit
                known[1] += 1
        n_predicted += len(ours)
        n_expected += len(right)
    total = n_predicted + n_expected
    return SegmentationScores(
        precision=correct / n_predicted if n_predicted else 0.0,
        recall=correct / n_expected if n_expected else 0.0,
        f1=2 * correct / total if total else 0.0,
        n_words=n_expected,
        unknown_recall=found[False][0] / found[False][1] if found[False][1] else None,
        known_recall=found[True][0] / found[True][1] if found[True][1] else None,
    )


def segmentation_examples(predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]]) -> PerExample:
    """Word F1 in the form that intervals and paired tests take: examples are sentences."""
    rows = [[len(_ends(ours) & _ends(right)), len(ours), len(right)] for ours, right in _read(predictions, references)]
    return PerExample("word F1", np.array(rows, dtype=np.int64), f1_of_sums)
