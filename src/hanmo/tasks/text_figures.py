"""How well a classifier of texts did: figures with intervals, and what it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hanmo.metrics.agreement import regression_examples, regression_scores
from hanmo.metrics.classification import classification_examples, classification_scores
from hanmo.metrics.multilabel import multilabel_examples, multilabel_scores
from hanmo.tasks.figures import Figures, by_name
from hanmo.tasks.text_classifier import THRESHOLD
from hanmo.tasks.text_examples import Kind, TextExample

__all__ = ["WATCHED", "figures", "glance", "predictions"]


WATCHED: dict[Kind, tuple[str, ...]] = {
    "single": ("loss", "error", "accuracy", "macro_f1", "mcc"),
    "multi": ("loss", "error", "micro_f1", "macro_f1"),
    "regression": ("loss", "error", "spearman", "pearson"),
}
"""What `glance` tells, by the kind of task."""


def glance(scores: np.ndarray, targets: np.ndarray, kind: Kind) -> dict[str, float]:
    """What is watched while training, cheap to compute; `error` is what training for the task lowers.

    Args:
        scores: unnormalised, (N, C).
        targets: as `hanmo.tasks.text_classification.targets` gives them.
        kind: one class a text (error: share of wrong ones), any number (share of wrong decisions), or a number (mean
            squared error).
    """
    match kind:
        case "single":
            wide = scores.astype(np.float64)
            logs = wide - wide.max(1, keepdims=True)
            logs -= np.log(np.exp(logs).sum(1, keepdims=True))
            error = float((wide.argmax(1) != targets).mean())
            told = classification_scores(wide.argmax(1).tolist(), targets.tolist(), labels=range(scores.shape[1]))
            return {
                "loss": float(-logs[np.arange(len(targets)), targets].mean()), "error": error, "accuracy": 1 - error,
                "macro_f1": told.macro.f1, "mcc": told.mcc,
            }  # fmt: skip
        case "multi":
            wide = scores.astype(np.float64)
            loss = np.logaddexp(0, wide) - wide * targets
            chosen, right = (
                [np.flatnonzero(row).tolist() for row in rows] for rows in (wide > 0, np.asarray(targets) > 0)
            )
            told = multilabel_scores(chosen, right, labels=range(scores.shape[1]))
            return {
                "loss": float(loss.mean()), "error": float(((wide > 0) != targets).mean()),
                "micro_f1": told.micro.f1, "macro_f1": told.macro.f1,
            }  # fmt: skip
        case "regression":
            error = float(((scores[:, 0] - targets) ** 2).mean())
            if min(np.ptp(scores[:, 0]), np.ptp(targets)) > 0:
                told = regression_scores(scores[:, 0].tolist(), targets.tolist())
                alike = {"spearman": told.spearman, "pearson": told.pearson}
            else:  # numbers that are all the same say nothing
                alike = {"spearman": 0.0, "pearson": 0.0}
            return {"loss": error, "error": error} | alike


def figures(
    probabilities: np.ndarray,
    examples: Sequence[TextExample],
    labels: tuple[str, ...],
    kind: Kind,
    *,
    thresholds: np.ndarray | None = None,
) -> Figures:
    """All figures of one split.

    Args:
        probabilities: as `TextClassifier.probabilities` gives them, (N, C).
        examples: what is right.
        labels: names of the C classes.
        kind: of the task.
        thresholds: probability above which each class applies, (C,), where several may; a half if None.

    Returns:
        Accuracy, macro and weighted F1 and Matthews' correlation; of several classes a text micro and macro F1, subset
        accuracy and Hamming loss; of numbers both correlations and the mean squared error. Details: `per_class`, and where
        one class applies `confusion` (rows are right, columns predicted).
    """
    told = _told(probabilities, labels, kind, thresholds)
    right: list[Any] = [example.label for example in examples]
    match kind:
        case "single":
            scores = classification_scores(told, right, labels=labels)
            metrics = by_name(
                classification_examples(name, told, right, labels=labels)
                for name in ("accuracy", "macro_f1", "weighted_f1", "mcc")
            )
            per_class = {str(name): asdict(each) for name, each in scores.per_class.items()}
            details = {"per_class": per_class, "confusion": scores.confusion.tolist()}
            return Figures(n=len(examples), metrics=metrics, details=details)
        case "multi":
            several = multilabel_scores(told, right, labels=labels)
            metrics = by_name(
                multilabel_examples(told, right, labels=labels, metric=name)
                for name in ("micro_f1", "macro_f1", "subset_accuracy", "hamming_loss")
            )
            per_class = {str(name): asdict(each) for name, each in several.per_class.items()}
            return Figures(n=len(examples), metrics=metrics, details={"per_class": per_class})
        case "regression":
            names = ("spearman", "pearson", "mean_squared_error")
            return Figures(n=len(examples), metrics=by_name(regression_examples(name, told, right) for name in names))


def predictions(
    probabilities: np.ndarray,
    examples: Sequence[TextExample],
    labels: tuple[str, ...],
    kind: Kind,
    *,
    thresholds: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """One record for each example, plain values for JSON: the wrong ones first, those it was surest of on top."""
    records = []
    answers = _told(probabilities, labels, kind, thresholds)
    for row, told, example in zip(probabilities, answers, examples, strict=True):
        texts = {"text": example.text} | ({} if example.pair is None else {"pair": example.pair})
        match kind:
            case "single":
                sure = float(row.max())
                values: dict[str, Any] = {"label": example.label, "predicted": told, "probability": sure}
                wrong = told != example.label
            case "multi":
                sure = float(np.abs(row - THRESHOLD).max() + THRESHOLD)
                values = {"label": list(example.label), "predicted": list(told)}
                wrong = set(told) != set(example.label)
            case "regression":
                values = {"label": example.label, "predicted": told}
                sure = abs(float(told) - float(example.label))
                wrong = True
        records.append((not wrong, -sure, {"where": example.where, "right": not wrong} | values | texts))
    return [record for *_, record in sorted(records, key=lambda record: record[:2])]


def _told(probabilities: np.ndarray, labels: tuple[str, ...], kind: Kind, thresholds: np.ndarray | None) -> list[Any]:
    match kind:
        case "single":
            return [labels[index] for index in probabilities.argmax(1)]
        case "multi":
            applies = probabilities > (THRESHOLD if thresholds is None else thresholds)
            return [tuple(name for name, yes in zip(labels, row, strict=True) if yes) for row in applies]
        case "regression":
            return probabilities[:, 0].tolist()
