"""How well a grader did: figures with intervals, and what it graded wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hanmo.metrics.agreement import quadratic_kappa, quadratic_kappa_examples, regression_examples
from hanmo.metrics.per_example import mean_of
from hanmo.tasks.figures import Figures, by_name
from hanmo.tasks.grading_examples import Scale
from hanmo.tasks.text_examples import TextExample

__all__ = ["glance_at_grades", "grading_figures", "grading_records"]


def glance_at_grades(grades: np.ndarray, examples: Sequence[TextExample], scale: Scale) -> dict[str, float]:
    """What is watched while training.

    `error` is 1 - the concordance of the grades as they are (Lin, 1989), which for rounded ones is the quadratic weighted
    kappa: rounded, a model that has just begun to learn still gives everyone the same.

    Args:
        grades: predicted, neither rounded nor clipped, (N,).
        examples: what is right.
        scale: of the grades.
    """
    right = np.array([example.label for example in examples])
    apart = float(((grades - right) ** 2).mean())
    concordance = 1 - apart / (grades.var() + right.var() + (grades.mean() - right.mean()) ** 2)
    told, steps = _rounded(grades, examples, scale)
    return {
        "loss": apart / (scale.highest - scale.lowest) ** 2,
        "error": 1 - float(concordance),
        "quadratic_kappa": quadratic_kappa(told, steps, low=0, high=scale.n_steps),
    }


def grading_figures(grades: np.ndarray, examples: Sequence[TextExample], scale: Scale) -> Figures:
    """All figures of one split.

    Args:
        grades: as `Grader.grade` gives them, (N,).
        examples: what is right.
        scale: of the grades.

    Returns:
        Quadratic weighted kappa of the rounded grades, Pearson's correlation of those that are not rounded, share of the
        same grade, mean absolute error in grades.
    """
    told, right = _rounded(grades, examples, scale)
    exact = [float(example.label) for example in examples]
    metrics = [
        quadratic_kappa_examples(told, right, low=0, high=scale.n_steps),
        regression_examples("pearson", grades.tolist(), exact),
        mean_of([a == b for a, b in zip(told, right, strict=True)], "same_grade"),
        mean_of(np.abs(grades - exact), "mean_absolute_error"),
    ]
    return Figures(n=len(examples), metrics=by_name(metrics))


def grading_records(grades: np.ndarray, examples: Sequence[TextExample], scale: Scale) -> list[dict[str, Any]]:
    """One record for each example, plain values for JSON: those furthest off first. Right is what rounds to the grade."""
    told, right = _rounded(grades, examples, scale)
    order = np.argsort(
        [-abs(grade - example.label) for grade, example in zip(grades, examples, strict=True)], kind="stable"
    )
    records = []
    for place in order:
        example = examples[place]
        records.append(
            {
                "where": example.where, "right": told[place] == right[place], "label": example.label,
                "predicted": float(grades[place]), "text": example.text, "pair": example.pair,
            }
        )  # fmt: skip
    return sorted(records, key=lambda record: record["right"])


def _rounded(grades: np.ndarray, examples: Sequence[TextExample], scale: Scale) -> tuple[list[int], list[int]]:
    """Grades in steps from the lowest: predicted, and right."""
    return [scale.steps(float(grade)) for grade in grades], [scale.steps(example.label) for example in examples]
