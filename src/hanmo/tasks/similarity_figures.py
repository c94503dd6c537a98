"""How well an encoder tells which texts are alike: figures with intervals, and what it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hanmo.metrics.agreement import regression_examples, regression_scores
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.ranking import gold_ranks
from hanmo.tasks.embeddings import SentenceEncoder
from hanmo.tasks.figures import Figures, by_name
from hanmo.tasks.similarity_examples import SimilarityExample
from hanmo.tasks.similarity_settings import SimilarityData
from hanmo.tasks.splits import folded

__all__ = ["Found", "find", "glance_at_similarity", "similarity_figures", "similarity_records"]

_KS = (1, 5, 10)
_AT_ONCE = 1024
"""Questions whose cosines with all texts are held at a time."""


class Found:
    """What an encoder says about some examples."""

    def __init__(self, cosines: np.ndarray, ranks: np.ndarray | None, best: list[str] | None):
        """Args:
        cosines: of the first text with each of the others, (N, K - 1).
        ranks: place of the text that belongs to the first one among all texts of the split, from 1, (N,).
        best: the text that stands first there (where that is the right one, the right one).
        """
        self.cosines, self.ranks, self.best = cosines, ranks, best


def find(encoder: SentenceEncoder, examples: Sequence[SimilarityExample], data: SimilarityData) -> Found:
    """Encode the texts of examples, each once, and compare them.

    Of pairs and triples each first text is a question, and all second and third texts of the split are the choices; a
    choice that belongs to the same question in another example, or is the question itself, is left out of its ranking.
    """
    texts = list(dict.fromkeys(text for example in examples for text in example.texts))
    vectors = encoder.encode(texts, overlong=data.overlong).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    row = {text: number for number, text in enumerate(texts)}
    places = np.array([[row[text] for text in example.texts] for example in examples])  # (N, K)
    cosines = (vectors[places[:, :1]] * vectors[places[:, 1:]]).sum(-1)
    if data.kind == "scores":
        return Found(cosines, None, None)
    choices: dict[str, int] = {}
    shown: list[str] = []
    for example in examples:
        for text in example.texts[1:]:
            if choices.setdefault(folded(text), len(choices)) == len(shown):
                shown.append(text)
    gold = np.array([choices[folded(example.texts[1])] for example in examples])
    belonging: dict[str, set[int]] = {}
    for example, choice in zip(examples, gold, strict=True):
        belonging.setdefault(folded(example.texts[0]), set()).add(int(choice))
    table = vectors[[row[text] for text in shown]]
    ranks, best = [], []
    for start in range(0, len(examples), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        scores = vectors[places[part, 0]] @ table.T
        for line, example, right in zip(scores, examples[part], gold[part], strict=True):
            question = folded(example.texts[0])
            others = belonging[question] | ({choices[question]} if question in choices else set())
            line[list(others - {int(right)})] = -np.inf
        ranks.append(gold_ranks(scores, gold[part]))
        best += [shown[choice] for choice in scores.argmax(1)]
    return Found(cosines, np.concatenate(ranks), best)


def glance_at_similarity(found: Found, examples: Sequence[SimilarityExample]) -> dict[str, float]:
    """What is watched while training; `error` is 1 - Spearman's correlation for scores, 1 - mean reciprocal rank else."""
    if found.ranks is None:
        scores = regression_scores(found.cosines[:, 0].tolist(), _scores(examples))
        return {"error": 1 - scores.spearman, "spearman": scores.spearman}
    mrr = float((1 / found.ranks).mean())
    return {"error": 1 - mrr, "mrr": mrr}


def similarity_figures(found: Found, examples: Sequence[SimilarityExample], *, before: Found | None = None) -> Figures:
    """All figures of one split.

    Args:
        found: what the model says.
        examples: what is right.
        before: what it said before training, whose first figure stands beside.

    Returns:
        Both correlations for scores; else mean reciprocal rank and recall, and for triples how often the right one is
        nearer.
    """
    if found.ranks is None:
        right, cosines = _scores(examples), found.cosines[:, 0].tolist()
        resampled = [regression_examples(name, cosines, right) for name in ("spearman", "pearson")]
        if before is not None:
            resampled.append(_named(regression_examples("spearman", before.cosines[:, 0].tolist(), right)))
    else:
        resampled = [mean_of(1 / found.ranks, "mrr"), *(mean_of(found.ranks <= k, f"recall@{k}") for k in _KS)]
        if found.cosines.shape[1] == 2:
            nearer = found.cosines[:, 0] > found.cosines[:, 1]
            resampled.append(mean_of(nearer, "triplet_accuracy"))
        if before is not None and before.ranks is not None:
            resampled.append(_named(mean_of(1 / before.ranks, "mrr")))
    return Figures(n=len(examples), metrics=by_name(resampled))


def similarity_records(
    found: Found, examples: Sequence[SimilarityExample], data: SimilarityData
) -> list[dict[str, Any]]:
    """One record for each example, plain values for JSON, the worst first.

    For scores `predicted` is the cosine on the scale of the scores, and no example counts as right; for the others it
    is the text that stands nearest, `label` the one that belongs.
    """
    records = []
    for place, example in enumerate(examples):
        values: dict[str, Any] = {"where": example.where, "text": example.texts[0]}
        if found.ranks is None or found.best is None:
            assert example.score is not None
            told = data.lowest + float(found.cosines[place, 0]) * (data.highest - data.lowest)
            worse = abs(told - example.score)
            values |= {"right": False, "label": example.score, "predicted": told, "pair": example.texts[1]}
        else:
            rank = int(found.ranks[place])
            worse = rank
            values |= {"right": rank == 1, "label": example.texts[1], "predicted": found.best[place], "rank": rank}
        records.append((-worse, values))
    return [values for _, values in sorted(records, key=lambda record: record[0])]


def _scores(examples: Sequence[SimilarityExample]) -> list[float]:
    return [example.score for example in examples if example.score is not None]


def _named(metric: PerExample) -> PerExample:
    return PerExample(f"{metric.name}_before", metric.rows, metric.score, metric.additive)
