"""How well texts were translated: figures with intervals and signatures, the worst translations first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hanmo.metrics.translation import TranslationScore, bleu, chrf, ter
from hanmo.tasks.figures import Figures
from hanmo.tasks.pair_examples import PairExample

__all__ = ["glance_at_translations", "translation_figures", "translation_records"]

_METRICS = {"bleu": bleu, "chrf": chrf, "ter": ter}


def glance_at_translations(texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
    """What is watched while training: BLEU, of several pairs of languages its mean, and `error`, which is 1 - BLEU / 100."""
    found = []
    for pair, numbers in _by_pair(examples).items():
        right = [examples[number].references for number in numbers]
        found.append(bleu([texts[number] for number in numbers], right, target_language=pair[1]).score)
    score = sum(found) / len(found)
    return {"bleu": score, "error": 1 - score / 100}


def translation_figures(texts: Sequence[str], examples: Sequence[PairExample]) -> Figures:
    """All figures of one split.

    Args:
        texts: translations.
        examples: what is right; with languages.

    Returns:
        BLEU, chrF and TER, 0 to 100; of several pairs of languages, each: "bleu en-de". Details: `signatures` of sacrebleu.
    """
    pairs = _by_pair(examples)
    found: dict[str, TranslationScore] = {}
    for metric, measure in _METRICS.items():
        for (source, target), numbers in pairs.items():
            name = metric if len(pairs) == 1 else f"{metric} {source}-{target}"
            right = [examples[number].references for number in numbers]
            found[name] = measure([texts[number] for number in numbers], right, target_language=target)
    return Figures(
        n=len(examples),
        metrics={name: score.examples for name, score in found.items()},
        details={"signatures": {name: score.signature for name, score in found.items()}},
    )


def translation_records(texts: Sequence[str], examples: Sequence[PairExample]) -> list[dict[str, Any]]:
    """One record for each example, plain values for JSON: those of the lowest chrF first."""
    scores: dict[int, float] = {}
    for pair, numbers in _by_pair(examples).items():
        right = [examples[number].references for number in numbers]
        found = chrf([texts[number] for number in numbers], right, target_language=pair[1])
        scores |= dict(zip(numbers, found.sentence_scores, strict=True))
    return [
        {
            "where": examples[number].where, "right": texts[number] in examples[number].references,
            "label": examples[number].target, "predicted": texts[number], "text": examples[number].source,
            "score": scores[number],
        }
        for number in sorted(range(len(examples)), key=lambda number: scores[number])
    ]  # fmt: skip


def _by_pair(examples: Sequence[PairExample]) -> dict[tuple[str, str], list[int]]:
    pairs: dict[tuple[str, str], list[int]] = {}
    for number, example in enumerate(examples):
        assert example.languages is not None
        pairs.setdefault(example.languages, []).append(number)
    return pairs
