"""Answers of extractive question answering in English: exact match and F1 as the SQuAD scripts compute them.

Rajpurkar et al. (2016) for 1.1, Rajpurkar et al. (2018) for 2.0, where a question may have no answer. Chinese answers
go to `cmrc`: with no spaces between words, F1 here would be exact match under another name.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_numbers, check_pairs, check_texts, reference_lists
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.units import share_of_han

__all__ = [
    "AnswerScores",
    "NoAnswerThreshold",
    "best_no_answer_threshold",
    "normalize_answer",
    "squad_exact",
    "squad_examples",
    "squad_f1",
    "squad_scores",
]

SquadVersion = Literal["1.1", "2.0"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_TOO_MUCH_HAN = 0.2


@dataclass(frozen=True)
class AnswerScores:
    """Exact match and F1 over a set of questions, in percent as the official scripts print them."""

    n: int
    """Number of questions."""
    exact: float
    """Answers that equal one of the references after normalisation, 0..100."""
    f1: float
    """Mean overlap with the best reference, 0..100."""
    with_answer: tuple[float, float] | None = None
    """(exact, F1) over the questions that have an answer; None where there are none."""
    without_answer: tuple[float, float] | None = None
    """(exact, F1) over the questions that have none; None where there are none."""

    @property
    def average(self) -> float:
        """(exact + F1) / 2, by which the CMRC 2018 leaderboard ranks, 0..100."""
        return (self.exact + self.f1) / 2


def normalize_answer(answer: str) -> str:
    """Lower case, without ASCII punctuation, without a, an and the, words parted by one space."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def squad_exact(prediction: str, answers: Sequence[str]) -> float:
    """1 where the prediction equals an answer after normalisation, else 0; no answers means that "" is right."""
    return float(any(normalize_answer(prediction) == normalize_answer(answer) for answer in answers or [""]))


def _bag_f1(prediction: str, answer: str, version: SquadVersion) -> float:
    ours, right = normalize_answer(prediction).split(), normalize_answer(answer).split()
    if version == "2.0" and not (ours and right):
        return float(ours == right)
    n_common = (Counter(ours) & Counter(right)).total()
    return 2 * n_common / (len(ours) + len(right)) if n_common else 0.0


def squad_f1(prediction: str, answers: Sequence[str], *, version: SquadVersion = "2.0") -> float:
    """F1 over the bags of words, the best among the answers, 0..1; no answers means that "" is right.

    Where both sides are empty after normalisation, version 2.0 gives 1, version 1.1 gives 0.
    """
    return max(_bag_f1(prediction, answer, version) for answer in answers or [""])


def _read(
    predictions: Iterable[str], references: Iterable[str | Sequence[str]], version: str
) -> tuple[list[str], list[list[str]]]:
    if version not in ("1.1", "2.0"):
        raise ConfigError(f"unknown version of SQuAD: {version!r}", where="version", remedy="Choose '1.1' or '2.0'.")
    ours, given = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(ours, given)
    check_texts(ours, "predictions")
    right = reference_lists(given, may_be_empty=version == "2.0")
    if share_of_han("".join(answer for answers in right for answer in answers)) > _TOO_MUCH_HAN:
        raise DataError(
            "the answers are Chinese, which SQuAD's rules take for one word each",
            where="references",
            remedy="Use cmrc_scores, which counts characters.",
        )
    if version == "2.0":  # as the official script: an answer of nothing but articles and punctuation is none
        right = [[answer for answer in answers if normalize_answer(answer)] for answers in right]
    return ours, right


def squad_scores(
    predictions: Iterable[str], references: Iterable[str | Sequence[str]], *, version: SquadVersion = "2.0"
) -> AnswerScores:
    """Exact match and F1 over a set of questions.

    Args:
        predictions: one answer for each question; "" for "there is no answer".
        references: the right answers of each question; an empty list where there is none (version 2.0 alone).
        version: "1.1" or "2.0", they differ in what empty answers score.

    Raises:
        ConfigError: for an unknown version.
        DataError: for lists of different lengths, empty ones, values that are no texts, or Chinese answers.
    """
    ours, right = _read(predictions, references, version)
    exact = np.array([squad_exact(p, a) for p, a in zip(ours, right, strict=True)])
    f1 = np.array([squad_f1(p, a, version=version) for p, a in zip(ours, right, strict=True)])
    has_answer = np.array([bool(answers) for answers in right])

    def mean(rows: np.ndarray) -> tuple[float, float] | None:
        return (100 * float(exact[rows].mean()), 100 * float(f1[rows].mean())) if rows.any() else None

    return AnswerScores(
        len(ours), 100 * float(exact.mean()), 100 * float(f1.mean()), mean(has_answer), mean(~has_answer)
    )


def squad_examples(
    metric: Literal["exact", "f1"],
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    version: SquadVersion = "2.0",
) -> PerExample:
    """Exact match or F1, 0..100, in the form that intervals and paired tests take; arguments as `squad_scores`."""
    ours, right = _read(predictions, references, version)
    functions: dict[str, Callable[[str, list[str]], float]] = {
        "exact": squad_exact,
        "f1": lambda prediction, answers: squad_f1(prediction, answers, version=version),
    }
    if metric not in functions:
        raise ConfigError(f"unknown metric {metric!r}", where="metric", remedy="Choose exact or f1.")
    values = [100 * functions[metric](p, a) for p, a in zip(ours, right, strict=True)]
    return mean_of(values, f"squad-{version}-{metric}")


@dataclass(frozen=True)
class NoAnswerThreshold:
    """Where to stop answering."""

    threshold: float
    """Answer where the probability of "no answer" is at most this."""
    score: float
    """The mean score with this threshold, 0..1."""


def best_no_answer_threshold(
    scores: Iterable[float], has_answer: Iterable[bool], no_answer_probabilities: Iterable[float]
) -> NoAnswerThreshold:
    """The threshold on the probability of "no answer" that gives the best mean score; choose it on development data.

    As the official script for SQuAD 2.0, but questions with equal probabilities are answered or left together, as a
    threshold can do no other.

    Args:
        scores: score of each question's answer as if all were answered, 0..1, (N,), by `squad_exact` or `squad_f1`.
        has_answer: whether the question has an answer, (N,); to leave a question that has none scores 1.
        no_answer_probabilities: how sure the model is that there is no answer, (N,).

    Raises:
        DataError: for lists of different lengths, empty ones, NaN, or scores outside 0..1.
    """
    values, answerable = as_list(scores, "scores"), as_list(has_answer, "has_answer")
    check_pairs(values, answerable)
    given = as_list(no_answer_probabilities, "no_answer_probabilities")
    check_pairs(given, answerable)
    right = np.array([bool(flag) for flag in answerable])
    gain = check_numbers(values, "scores")
    probabilities = check_numbers(given, "no_answer_probabilities")
    if gain.min() < 0 or gain.max() > 1:
        raise DataError("a score is outside 0..1", where="scores", remedy="Divide percentages by 100.")
    order = np.argsort(probabilities, kind="stable")
    none_answered = np.count_nonzero(~right)
    # from leaving all questions to answering all, in order of rising probability
    totals = none_answered + np.cumsum(np.where(right, gain, gain - 1.0)[order])
    ends = np.flatnonzero(np.diff(probabilities[order], append=np.inf) > 0)  # last of each group of equal ones
    best = ends[np.argmax(totals[ends])]
    if totals[best] <= none_answered:
        return NoAnswerThreshold(float(np.nextafter(probabilities.min(), -np.inf)), none_answered / len(right))
    return NoAnswerThreshold(float(probabilities[order][best]), float(totals[best] / len(right)))
