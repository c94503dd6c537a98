"""What is fitted on the dev set after training: a temperature, and for each class the probability from which it applies."""

from __future__ import annotations

import numpy as np

from hanmo.core.progress import say
from hanmo.metrics.calibration import expected_calibration_error
from hanmo.tasks.text_examples import Kind

__all__ = ["calibration_error", "fit_temperature", "fit_thresholds", "softened"]

_COLDEST, _HOTTEST = 0.05, 20.0
"""Temperatures that are tried; without an error on dev the likelihood would rise for ever as it falls."""
_HALVINGS = 60
_HALF = 0.5


def fit_temperature(scores: np.ndarray, targets: np.ndarray, kind: Kind) -> float:
    """The T that makes softmax(z / T) (or sigmoid, where several classes may apply) most likely (Guo et al., 2017, eq. 9).

    With β = 1 / T the negative log-likelihood is convex in β, and its derivative is what the model expects of the scores
    minus what is right: E_p[z] - z_y. It is halved in until it is zero.

    Args:
        scores: unnormalised, (N, C).
        targets: (N,) classes, or (N, C) zeros and ones.
        kind: one class a text, or any number.
    """
    wide = scores.astype(np.float64)

    def slope(beta: float) -> float:
        if kind == "multi":
            return float(((softened(wide, 1 / beta, kind) - targets) * wide).sum())
        expected = (softened(wide, 1 / beta, kind) * wide).sum(1)
        return float((expected - wide[np.arange(len(wide)), targets]).sum())

    low, high = np.log(1 / _HOTTEST), np.log(1 / _COLDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(float(np.exp(middle))) > 0 else (middle, high)
    temperature = float(np.exp(-(low + high) / 2))
    if not _COLDEST * 1.01 < temperature < _HOTTEST / 1.01:
        say(f"The temperature ends at the border, {temperature:.2f}: the dev set has too few errors to fit it.")
    return temperature


def softened(scores: np.ndarray, temperature: float, kind: Kind) -> np.ndarray:
    """Probabilities of scores (N, C) that were divided by the temperature, (N, C)."""
    z = scores / temperature
    if kind == "multi":
        return 0.5 * (1 + np.tanh(z / 2))  # the sigmoid, without overflow
    exponentials = np.exp(z - z.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def fit_thresholds(probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, ...]:
    """For each class the probability above which it applies, so that its F1 is highest (SCut of Yang, 2001, §2.3).

    It lies half-way between two probabilities that occur; of several that are as good, the one nearest to a half. A class
    that dev never has keeps a half.

    Args:
        probabilities: (N, C).
        targets: (N, C) zeros and ones.
    """
    return tuple(_threshold(column, right) for column, right in zip(probabilities.T, targets.T, strict=True))


def _threshold(column: np.ndarray, right: np.ndarray) -> float:
    if not right.any():
        return _HALF
    order = np.argsort(-column, kind="stable")
    values, hits = column[order].astype(np.float64), np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(values) + 1) + right.sum())  # of taking the first 1 … N
    below = np.append(values[1:], 0.0)
    borders = (values + below) / 2
    f1[values == below] = -1.0  # equal probabilities cannot be told apart
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    # where a half itself is as good, it stays
    if any(below[place] <= _HALF < values[place] for place in best):
        return _HALF
    return float(min(borders[best], key=lambda border: abs(border - _HALF)))


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, kind: Kind) -> float:
    """Expected calibration error of the class that is told, or, where several may apply, of all yes and no together."""
    if kind == "multi":
        return expected_calibration_error(probabilities.ravel(), targets.ravel() == 1)
    return expected_calibration_error(probabilities.max(1), probabilities.argmax(1) == targets)
