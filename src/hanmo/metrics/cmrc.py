"""Answers of extractive question answering in Chinese, as the script of CMRC 2018 scores them (Cui et al., 2019).

F1 is taken over the longest run that both answers share, not over a bag of words; Chinese counts by character.
The script's quirks are kept, or the figures could not be compared: its punctuation is the list below, so that …, ‘, ）
of other blocks and ASCII marks such as , and . stay in the text; its Chinese is U+4E00..U+9FA5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError
from hanmo.metrics.answers import AnswerScores
from hanmo.metrics.checks import as_list, check_pairs, check_texts, reference_lists
from hanmo.metrics.per_example import PerExample, mean_of

__all__ = ["cmrc_exact", "cmrc_examples", "cmrc_f1", "cmrc_scores", "split_latin"]

# the script lists …… as one entry and compares it with single characters: it never matches and is left out here
_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_LATIN = re.compile(r"\w+|[^\w\s]")


def split_latin(text: str) -> list[str]:
    """Words and single punctuation marks of a stretch that is not Chinese.

    Stands in for nltk's word_tokenize in the script, which keeps 3.14 and 10,000 whole: an answer that is cut inside a
    number scores a little higher here. Pass that function as `split` for figures to publish.
    """
    return _LATIN.findall(text)


def _units(text: str, split: Callable[[str], list[str]]) -> list[str]:
    """Chinese characters one by one, what stands between them split into words, without the listed punctuation."""
    units: list[str] = []
    stretch = ""
    for character in text.lower().strip():
        if character in _PUNCTUATION:
            continue  # does not end a stretch: the script skips it before it looks
        if "\u4e00" <= character <= "\u9fa5":
            units += [*(split(stretch) if stretch else []), character]
            stretch = ""
        else:
            stretch += character
    return units + (split(stretch) if stretch else [])


def _longest_shared_run(a: list[str], b: list[str]) -> int:
    longest = 0
    before = [0] * (len(b) + 1)  # before[j]: length of the shared run that ends at the last unit of a and b[j - 1]
    for unit in a:
        now = [0] * (len(b) + 1)
        for j, other in enumerate(b, 1):
            if unit == other:
                now[j] = before[j - 1] + 1
        longest = max(longest, *now)
        before = now
    return longest


def cmrc_exact(prediction: str, answers: Sequence[str]) -> float:
    """1 where the prediction equals an answer in lower case and without the listed punctuation, else 0."""

    def bare(text: str) -> str:
        return "".join(character for character in text.lower().strip() if character not in _PUNCTUATION)

    return float(any(bare(prediction) == bare(answer) for answer in answers))


def cmrc_f1(prediction: str, answers: Sequence[str], *, split: Callable[[str], list[str]] = split_latin) -> float:
    """F1 over the longest shared run, the best among the answers, 0..1; 0 where nothing is shared."""
    ours = _units(prediction, split)
    best = 0.0
    for answer in answers:
        right = _units(answer, split)
        shared = _longest_shared_run(ours, right)
        if shared:
            best = max(best, 2 * shared / (len(ours) + len(right)))
    return best


def _read(predictions: Iterable[str], references: Iterable[str | Sequence[str]]) -> list[tuple[str, list[str]]]:
    ours, given = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(ours, given)
    check_texts(ours, "predictions")
    return list(zip(ours, reference_lists(given), strict=True))


def cmrc_scores(
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    split: Callable[[str], list[str]] = split_latin,
) -> AnswerScores:
    """Exact match and F1 over a set of questions, 0..100.

    Args:
        predictions: one answer for each question.
        references: the right answers of each question, at least one.
        split: cuts what is not Chinese into words.

    Raises:
        DataError: for lists of different lengths, empty ones, a question without answers, values that are no texts.
    """
    pairs = _read(predictions, references)
    exact = 100 * float(np.mean([cmrc_exact(p, a) for p, a in pairs]))
    f1 = 100 * float(np.mean([cmrc_f1(p, a, split=split) for p, a in pairs]))
    return AnswerScores(len(pairs), exact, f1, with_answer=(exact, f1))


def cmrc_examples(
    metric: Literal["exact", "f1"],
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    split: Callable[[str], list[str]] = split_latin,
) -> PerExample:
    """Exact match or F1, 0..100, in the form that intervals and paired tests take; arguments as `cmrc_scores`."""
    if metric not in ("exact", "f1"):
        raise ConfigError(f"unknown metric {metric!r}", where="metric", remedy="Choose exact or f1.")
    pairs = _read(predictions, references)
    values = [cmrc_exact(p, a) if metric == "exact" else cmrc_f1(p, a, split=split) for p, a in pairs]
    return mean_of([100 * value for value in values], f"cmrc-{metric}")
