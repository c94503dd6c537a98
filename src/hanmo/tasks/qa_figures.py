"""How well a model of answers did: figures with intervals, beside those of no model, and what it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from hanmo.metrics.answers import best_no_answer_threshold, squad_examples
from hanmo.metrics.cmrc import cmrc_examples
from hanmo.metrics.per_example import mean_of
from hanmo.metrics.significance import paired_bootstrap
from hanmo.metrics.units import share_of_han
from hanmo.tasks.figures import Figures
from hanmo.tasks.qa_baseline import overlap_answers
from hanmo.tasks.qa_examples import QaExample
from hanmo.tasks.question_answerer import Found

__all__ = ["Rules", "best_threshold", "glance_at_answers", "qa_figures", "qa_records", "question_scores", "rules_of"]

Rules = Literal["squad", "cmrc"]
_CHINESE = 0.2
"""Share of Chinese characters in the answers from which on they are scored by characters."""
_AROUND = 150
"""Characters of the text that a record shows on either side of an answer."""


def rules_of(examples: Sequence[QaExample]) -> Rules:
    """Whose rules fit the answers: those of CMRC 2018 where they are Chinese."""
    text = "".join(answer for example in examples for answer in example.answers)
    return "cmrc" if share_of_han(text) > _CHINESE else "squad"


def question_scores(told: Sequence[str], examples: Sequence[QaExample], rules: Rules) -> np.ndarray:
    """Exact match and F1 of each question, 0..100, (N, 2), as the official scripts have them.

    Where some questions have no answer those of SQuAD 2.0 are taken, otherwise those of 1.1. CMRC 2018 has no such
    questions; they are scored as in SQuAD 2.0 there too.

    Args:
        told: an answer to each question, "" for none.
        examples: what is right.
        rules: of which script.
    """
    right = [list(example.answers) for example in examples]
    if rules == "squad":
        version = "1.1" if all(right) else "2.0"
        found = [squad_examples(name, told, right, version=version).rows[:, 0] for name in ("exact", "f1")]
        return np.stack(found, axis=1)
    scores = np.array([[100.0 * (not answer)] * 2 for answer in told])
    some = [place for place, answers in enumerate(right) if answers]
    if some:
        pairs = [told[place] for place in some], [right[place] for place in some]
        for column, name in enumerate(("exact", "f1")):
            scores[some, column] = cmrc_examples(name, *pairs).rows[:, 0]
    return scores


def best_threshold(found: Sequence[Found], examples: Sequence[QaExample], rules: Rules) -> tuple[float, float]:
    """The `doubt` above which "there is none" is the better answer, and the F1 that this gives, 0..100."""
    scores = question_scores([one.best(None) for one in found], examples, rules)[:, 1] / 100
    answered = [bool(example.answers) for example in examples]
    gains = np.where(answered, scores, 0.0)
    best = best_no_answer_threshold(gains, answered, [one.doubt for one in found])
    return best.threshold, 100 * best.score


def glance_at_answers(
    found: Sequence[Found], examples: Sequence[QaExample], rules: Rules, *, may_be_none: bool
) -> dict[str, float]:
    """What is watched while training; `error` is 1 - F1. Where there may be no answer, with the best threshold."""
    if may_be_none:
        _, f1 = best_threshold(found, examples, rules)
        return {"error": 1 - f1 / 100, "f1": f1}
    exact, f1 = question_scores([one.best(None) for one in found], examples, rules).mean(axis=0).tolist()
    return {"error": 1 - f1 / 100, "f1": f1, "exact": exact}


def qa_figures(told: Sequence[str], examples: Sequence[QaExample], rules: Rules, *, seed: int) -> Figures:
    """All figures of one split.

    Args:
        told: an answer to each question, "" for none.
        examples: what is right.
        rules: of which script.
        seed: of the paired test.

    Returns:
        F1 and exact match, 0..100; also those of the questions with and without an answer, where there are both; and those
        of `hanmo.tasks.qa_baseline`. Details: `rules`, and `against_baseline`, a paired test of both F1.
    """
    ours = question_scores(told, examples, rules)
    baseline = question_scores(
        overlap_answers([(example.question, example.context) for example in examples]), examples, rules
    )
    has_answer = np.array([bool(example.answers) for example in examples])
    parts: dict[str, np.ndarray] = {"f1": ours[:, 1], "exact": ours[:, 0]}
    if has_answer.any() and not has_answer.all():
        for name, rows in (("with_answer", has_answer), ("without_answer", ~has_answer)):
            parts |= {f"f1_{name}": ours[rows, 1], f"exact_{name}": ours[rows, 0]}
    parts |= {"baseline_f1": baseline[:, 1], "baseline_exact": baseline[:, 0]}
    metrics = {name: mean_of(values, name) for name, values in parts.items()}
    test = paired_bootstrap(mean_of(ours[:, 1], "f1"), mean_of(baseline[:, 1], "f1"), seed=seed)
    return Figures(n=len(examples), metrics=metrics, details={"rules": rules, "against_baseline": asdict(test)})


def qa_records(
    found: Sequence[Found], told: Sequence[str], examples: Sequence[QaExample], rules: Rules
) -> list[dict[str, Any]]:
    """One record for each question, plain values for JSON: the worst first, those it was surest of on top."""
    records = []
    scores = question_scores(told, examples, rules)
    for one, answer, example, (exact, f1) in zip(found, told, examples, scores.tolist(), strict=True):
        best = one.answers[0] if one.answers else None
        sure = one.none if not answer or best is None else best.score
        place = example.spans[0] if example.spans else (0, 0) if best is None else (best.start, best.end)
        record = {
            "where": example.where, "right": exact == 100, "f1": f1, "label": list(dict.fromkeys(example.answers)),
            "predicted": answer, "probability": min(1.0, sure), "text": example.question,
            "pair": _around(example.context, *place), "length": len(example.context),
        }  # fmt: skip
        records.append((f1, -sure, record))
    return [record for *_, record in sorted(records, key=lambda record: record[:2])]


def _around(text: str, start: int, end: int) -> str:
    """A part of a text, with marks where something was left out."""
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    return ("…" if first else "") + text[first:last] + ("…" if last < len(text) else "")
