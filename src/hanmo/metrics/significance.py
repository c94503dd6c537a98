"""Is one system better than another on the same examples, or could it be chance: paired tests.

Koehn (2004) for the paired bootstrap; Noreen (1989) and Riezler & Maxwell (2005) for approximate randomisation; Holm
(1979) where several comparisons are made at once. Both tests are two-sided and count the observed outcome among the
drawn ones, so that no p-value is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.intervals import check_resampling, example_draws, scores_of_draw
from hanmo.metrics.per_example import PerExample

__all__ = ["PairedTest", "approximate_randomisation", "holm", "paired_bootstrap"]

_CELLS = 1 << 21
_TIE = 1e-12
"""Differences this close (relative to the scores) are equal: sums of the same numbers in another order."""


@dataclass(frozen=True)
class PairedTest:
    """What a paired test says about system A against system B."""

    a: float
    """Score of A over all examples."""
    b: float
    """Score of B over all examples."""
    difference: float
    """a − b, in the units of the score."""
    p_value: float
    """How often chance alone gives a difference at least this large, 0..1, two-sided."""
    low: float | None
    """Lower end of the bootstrap interval of the difference; None where the test gives none."""
    high: float | None
    """Upper end."""
    method: Literal["paired bootstrap", "approximate randomisation"]
    """Which test."""
    n_examples: int
    """Number of examples."""
    n_resamples: int
    """Number of draws."""


def _check_pair(a: PerExample, b: PerExample) -> None:
    if a.name != b.name or a.additive != b.additive or a.rows.shape[1] != b.rows.shape[1]:
        raise DataError(
            f"the two systems were scored by different metrics: {a.name!r} and {b.name!r}",
            remedy="Score both with the same metric and the same labels.",
        )
    if len(a) != len(b):
        raise DataError(
            f"system A was scored on {len(a)} examples, system B on {len(b)}",
            remedy="A paired test needs the same examples, in the same order.",
        )


def _p_value(drawn: NDArray[np.float64], observed: float, scale: float) -> float:
    at_least = np.count_nonzero(np.abs(drawn) >= abs(observed) - _TIE * max(1.0, scale))
    return (1 + int(at_least)) / (1 + len(drawn))


def paired_bootstrap(
    a: PerExample, b: PerExample, *, level: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> PairedTest:
    """Draw examples with replacement, the same for both systems; p from the differences shifted to mean zero.

    Args:
        a: what the metric keeps of each example of system A.
        b: the same for system B, over the same examples.
        level: share of the drawn differences inside the interval, in (0, 1).
        n_resamples: bootstrap samples.
        seed: the same seed gives the same p-value.

    Raises:
        DataError: for different metrics or numbers of examples.
    """
    _check_pair(a, b)
    check_resampling(n_resamples, level)
    observed = a.value - b.value
    drawn = np.concatenate(
        [
            scores_of_draw(a, indices) - scores_of_draw(b, indices)
            for indices in example_draws(len(a), n_resamples, np.random.default_rng(seed))
        ]
    )
    p = _p_value(drawn - drawn.mean(), observed, max(abs(a.value), abs(b.value)))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return PairedTest(a.value, b.value, observed, p, float(low), float(high), "paired bootstrap", len(a), n_resamples)


def approximate_randomisation(a: PerExample, b: PerExample, *, n_resamples: int = 10_000, seed: int = 0) -> PairedTest:
    """Swap the two systems' outputs on each example with probability one half, score both, repeat.

    Args:
        a: what the metric keeps of each example of system A.
        b: the same for system B, over the same examples.
        n_resamples: number of random swaps.
        seed: the same seed gives the same p-value.

    Raises:
        DataError: for different metrics or numbers of examples.
    """
    _check_pair(a, b)
    check_resampling(n_resamples)
    rng = np.random.default_rng(seed)
    n, observed = len(a), a.value - b.value
    block = max(1, _CELLS // n)
    drawn = []
    for start in range(0, n_resamples, block):
        swap = rng.random((min(block, n_resamples - start), n)) < 0.5
        if a.additive:
            moved = swap.astype(np.float64) @ (b.rows - a.rows)
            drawn.append(a.score(a.rows.sum(axis=0) + moved) - b.score(b.rows.sum(axis=0) - moved))
        else:
            chosen = [row[:, None] for row in swap]
            drawn.append(
                np.array(
                    [
                        float(a.score(np.where(row, b.rows, a.rows))) - float(b.score(np.where(row, a.rows, b.rows)))
                        for row in chosen
                    ]
                )
            )
    p = _p_value(np.concatenate(drawn), observed, max(abs(a.value), abs(b.value)))
    return PairedTest(a.value, b.value, observed, p, None, None, "approximate randomisation", n, n_resamples)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values of several comparisons, raised so that one false alarm among them all stays as rare as for one (Holm).

    Args:
        p_values: comparison → p-value, 0..1.

    Returns:
        Comparison → adjusted p-value, in the order given.

    Raises:
        ConfigError: for a value outside 0..1.
    """
    for name, p in p_values.items():
        if not 0.0 <= p <= 1.0:
            raise ConfigError(f"{p!r} is not a p-value", where=name, remedy="Give a number between 0 and 1.")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
