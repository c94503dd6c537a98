"""pass@k: the chance that one of k sampled programs passes all tests (Chen et al., 2021, equation 1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list
from hanmo.metrics.per_example import PerExample, mean_of

__all__ = ["pass_at_k", "pass_at_k_examples"]


def pass_at_k(n: int, c: int, k: int) -> float:
    """1 − C(n−c, k) / C(n, k), the unbiased estimate from n samples of which c pass, 0..1.

    Args:
        n: samples drawn for one problem.
        c: samples that pass.
        k: samples that a user would look at.

    Raises:
        ConfigError: unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ConfigError(
            f"pass@{k} cannot be estimated from {n} samples of which {c} pass",
            where="pass_at_k",
            remedy="Draw at least k samples for each problem.",
        )
    missed = 1.0  # as a product: the binomials themselves overflow
    for i in range(n - c + 1, n + 1):
        missed *= 1.0 - k / i if i > k else 0.0
    return 1.0 - missed


def pass_at_k_examples(outcomes: Iterable[Sequence[bool]], k: int) -> PerExample:
    """Mean pass@k over problems, in the form that intervals and paired tests take.

    Args:
        outcomes: for each problem, whether each of its samples passed.
        k: samples that a user would look at.

    Raises:
        ConfigError: for a problem with fewer than k samples.
        DataError: for an outcome that is neither true nor false, or no problems.
    """
    values = []
    for problem, samples in enumerate(as_list(outcomes, "outcomes")):
        passed = as_list(samples, f"outcomes[{problem}]")
        if any(outcome not in (True, False) for outcome in passed):
            raise DataError("an outcome is neither true nor false", where=f"outcomes[{problem}]")
        values.append(pass_at_k(len(passed), sum(passed), k))
    return mean_of(values, f"pass@{k}")
