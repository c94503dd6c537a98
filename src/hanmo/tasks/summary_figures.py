"""How good written summaries, titles or questions are: ROUGE with intervals beside what no training gives, the worst first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hanmo.metrics.per_example import PerExample
from hanmo.metrics.rouge import rouge_scores
from hanmo.tasks.figures import Figures
from hanmo.tasks.pair_examples import PairExample

__all__ = ["glance_at_summaries", "summary_figures", "summary_records"]

_KINDS = ("rouge1", "rouge2", "rougeL")


def glance_at_summaries(texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
    """What is watched while training: F1 of ROUGE-1, 2 and L, and `error`, which is 1 - their mean."""
    found = rouge_scores(texts, [example.references for example in examples], kinds=_KINDS)
    values = {name.partition("-")[0]: score.f1 for name, score in found.scores.items()}
    return values | {"error": 1 - sum(values.values()) / len(values)}


def summary_figures(
    texts: Sequence[str],
    examples: Sequence[PairExample],
    *,
    baselines: Mapping[str, Callable[[str], str]] | None = None,
) -> Figures:
    """All figures of one split.

    Args:
        texts: what was written.
        examples: what is right; of several right texts the best counts.
        baselines: name → from a source to what no training gives for it, such as its first sentence.

    Returns:
        F1 of ROUGE, 0 to 1; those of a baseline as "rouge1 lead-1".
    """
    right = [example.references for example in examples]
    metrics: dict[str, PerExample] = {}
    for name, written in {"": texts, **_extracted(examples, baselines or {})}.items():
        found = rouge_scores(written, right, kinds=_KINDS)
        metrics |= {f"{kind} {name}".strip(): found.examples(kind) for kind in found.scores}
    return Figures(n=len(examples), metrics=metrics)


def summary_records(texts: Sequence[str], examples: Sequence[PairExample]) -> list[dict[str, Any]]:
    """One record for each example, plain values for JSON: those of the lowest ROUGE-L first."""
    found = rouge_scores(texts, [example.references for example in examples], kinds=("rougeL",))
    scores = next(iter(found.per_example.values()))[:, 2]
    return [
        {
            "where": examples[number].where, "right": texts[number] in examples[number].references,
            "label": examples[number].target, "predicted": texts[number], "text": examples[number].source,
            "score": 100 * float(scores[number]),
        }
        for number in scores.argsort(kind="stable").tolist()
    ]  # fmt: skip


def _extracted(examples: Sequence[PairExample], baselines: Mapping[str, Callable[[str], str]]) -> dict[str, list[str]]:
    return {name: [extract(example.source) for example in examples] for name, extract in baselines.items()}
