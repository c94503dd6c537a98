"""How far a score could be off by the choice of test examples: percentile bootstrap intervals.

Efron & Tibshirani (1993), chapter 13: draw N examples from the N with replacement, score, repeat; the interval holds
the middle of the scores. It speaks about the examples alone; another training seed moves the score as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError
from hanmo.metrics.per_example import PerExample

__all__ = [
    "Interval",
    "bootstrap_interval",
    "check_resampling",
    "example_draws",
    "resampled_scores",
    "scores_of_draw",
]

_CELLS = 1 << 21
"""Example weights held at a time, over all resamples of a block."""


@dataclass(frozen=True)
class Interval:
    """A score and the interval around it, in the units of the score."""

    value: float
    """The score over all examples."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    level: float
    """Share of the resampled scores between the ends, 0..1."""
    n_examples: int
    """Number of examples."""
    n_resamples: int
    """Number of bootstrap samples."""
    seed: int
    """Seed of the draw."""


def check_resampling(n_resamples: int, level: float = 0.5) -> None:
    """Refuse numbers of resamples and levels that mean nothing."""
    if n_resamples < 1:
        raise ConfigError(f"n_resamples must be at least 1, got {n_resamples}", where="n_resamples")
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level must lie between 0 and 1, got {level}", where="level", remedy="Give 0.95 for 95 %.")


def example_draws(n: int, n_resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Blocks of bootstrap samples as indices, (B, n) each, `n_resamples` rows in all."""
    block = max(1, _CELLS // n)
    for start in range(0, n_resamples, block):
        yield rng.integers(n, size=(min(block, n_resamples - start), n))


def _weights(indices: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """How often each example was drawn, (B, n)."""
    shifted = indices + n * np.arange(len(indices))[:, None]
    return np.bincount(shifted.ravel(), minlength=n * len(indices)).reshape(len(indices), n).astype(np.float64)


def scores_of_draw(metric: PerExample, indices: NDArray[np.int64]) -> NDArray[np.float64]:
    """The metric on each row of indices, (B, n) → (B,)."""
    if metric.additive:
        return np.asarray(metric.score(_weights(indices, len(metric)) @ metric.rows), dtype=np.float64)
    return np.array([float(metric.score(metric.rows[row])) for row in indices])


def resampled_scores(metric: PerExample, *, n_resamples: int = 1000, seed: int = 0) -> NDArray[np.float64]:
    """The metric on bootstrap samples of its examples, (n_resamples,)."""
    check_resampling(n_resamples)
    draws = example_draws(len(metric), n_resamples, np.random.default_rng(seed))
    return np.concatenate([scores_of_draw(metric, indices) for indices in draws])


def bootstrap_interval(metric: PerExample, *, level: float = 0.95, n_resamples: int = 1000, seed: int = 0) -> Interval:
    """A score with its percentile bootstrap interval.

    Args:
        metric: what a metric keeps of each example.
        level: share of the resampled scores inside the interval, in (0, 1).
        n_resamples: bootstrap samples; 1000 settle the ends to about a tenth of the interval's width.
        seed: the same seed gives the same interval.

    Raises:
        ConfigError: for a level outside (0, 1) or no resamples.
    """
    check_resampling(n_resamples, level)
    scores = resampled_scores(metric, n_resamples=n_resamples, seed=seed)
    low, high = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return Interval(metric.value, float(low), float(high), level, len(metric), n_resamples, seed)
