"""ROUGE for summaries (Lin, 2004): Google's rouge-score, with a tokenizer that keeps Chinese.

The tokenizer of rouge-score drops all but a-z and 0-9, so that a Chinese summary scores 0 against itself. Here Chinese
counts by character and other words are lower-cased; on English text the figures are Google's. Where Chinese characters
take part, the names say so: `rouge1-zh-char`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError
from hanmo.metrics.checks import as_list, check_pairs, check_texts, reference_lists
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.units import has_han, units_of

__all__ = ["RougeScore", "RougeScores", "rouge_scores"]

_MAY_DROP = 0.2
"""Share of letters and digits that the English tokenizer may drop before its figures mean nothing."""


@dataclass(frozen=True)
class RougeScore:
    """One kind of ROUGE, mean over the examples."""

    precision: float
    """Share of the prediction's units that the reference has, 0..1."""
    recall: float
    """Share of the reference's units that the prediction has, 0..1."""
    f1: float
    """Mean of the examples' F1, 0..1."""


@dataclass(frozen=True)
class RougeScores:
    """All kinds of ROUGE that were asked for."""

    scores: dict[str, RougeScore]
    """Name, such as "rougeL" or "rougeL-zh-char" → score."""
    per_example: dict[str, NDArray[np.float64]]
    """Name → (precision, recall, F1) of each example, (N, 3), 0..1."""

    def examples(self, name: str) -> PerExample:
        """F1 of one kind in the form that intervals and paired tests take."""
        if name not in self.per_example:
            raise ConfigError(
                f"no scores named {name!r}", where="name", remedy=f"There are {', '.join(self.per_example)}."
            )
        return mean_of(self.per_example[name][:, 2], name)


class _ScriptTokenizer:
    """What rouge-score takes for a tokenizer: Chinese by character, other words lower-cased, English ones stemmed."""

    def __init__(self, stem: bool) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._stemmer = DefaultTokenizer(use_stemmer=True) if stem else None
        self._stems: dict[str, list[str]] = {}

    def tokenize(self, text: str) -> list[str]:
        units = units_of(text)
        if self._stemmer is None:
            return units
        for unit in units:
            if unit not in self._stems:
                self._stems[unit] = self._stemmer.tokenize(unit) if unit.isascii() else [unit]
        return [stem for unit in units for stem in self._stems[unit]]


def _refuse_to_drop(texts: Iterable[str]) -> None:
    letters = dropped = 0
    for text in texts:
        for character in filter(str.isalnum, text.lower()):
            letters += 1
            dropped += not character.isascii()
    if letters and dropped / letters > _MAY_DROP:
        raise ConfigError(
            f"the English tokenizer would drop {dropped / letters:.0%} of the letters and digits",
            where="tokenizer",
            remedy="Leave tokenizer='script', which keeps Chinese and accented letters.",
        )


def rouge_scores(
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    kinds: Sequence[str] = ("rouge1", "rouge2", "rougeL", "rougeLsum"),
    stem: bool = False,
    tokenizer: Literal["script", "english"] = "script",
) -> RougeScores:
    """ROUGE of predicted texts.

    Args:
        predictions: one text for each example.
        references: one right text for each example, or several, of which the best counts for each kind.
        kinds: "rouge1" to "rouge9" (n-grams), "rougeL" (longest common subsequence), "rougeLsum" (the same over
            sentences, which must stand on lines of their own).
        stem: whether English words of more than three letters are stemmed (Porter).
        tokenizer: "script" as described above; "english" is Google's own.

    Raises:
        ConfigError: for an unknown kind or tokenizer, or where the English tokenizer would drop a fifth of the text.
        DataError: for lists of different lengths, empty ones, or values that are no texts.
    """
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer

    ours, given = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(ours, given)
    check_texts(ours, "predictions")
    right = reference_lists(given)
    allowed = [*(f"rouge{n}" for n in range(1, 10)), "rougeL", "rougeLsum"]
    for kind in kinds:
        if kind not in allowed:
            raise ConfigError(f"unknown kind {kind!r}", where="kinds", remedy=f"Choose {', '.join(allowed)}.")
    texts = [*ours, *(reference for references_of_one in right for reference in references_of_one)]
    chosen: Any
    suffix = ""
    if tokenizer == "english":
        _refuse_to_drop(texts)
        chosen = DefaultTokenizer(use_stemmer=stem)
    elif tokenizer == "script":
        chosen = _ScriptTokenizer(stem)
        suffix = "-zh-char" if any(map(has_han, texts)) else ""
    else:
        raise ConfigError(f"unknown tokenizer {tokenizer!r}", where="tokenizer", remedy="Choose script or english.")
    scorer = RougeScorer(list(kinds), tokenizer=chosen)
    rows: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    for prediction, targets in zip(ours, right, strict=True):
        best = scorer.score_multi(targets, prediction)
        for kind in kinds:
            score = best[kind]
            rows[kind].append((score.precision, score.recall, score.fmeasure))
    arrays = {kind + suffix: np.array(rows[kind], dtype=np.float64) for kind in kinds}
    return RougeScores({name: RougeScore(*map(float, array.mean(axis=0))) for name, array in arrays.items()}, arrays)
