"""What becomes of one split: figures with intervals, in one form for all tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hanmo.metrics.intervals import bootstrap_interval
from hanmo.metrics.per_example import PerExample
from hanmo.metrics.significance import PairedTest, paired_bootstrap

__all__ = ["Figures", "by_name", "compare_figures"]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How well a model did on some examples."""

    n: int
    """Examples."""
    metrics: Mapping[str, PerExample]
    """Figure → what it keeps of each example."""
    plain: Mapping[str, float] = field(default_factory=dict)
    """Figures without an interval, since examples drawn twice would change what they mean."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else a report shows, such as `per_class` and `confusion`; for JSON."""

    def to_dict(self, *, seed: int) -> dict[str, Any]:
        """Plain values for JSON: `n`, `scores` (figure → value), `intervals` (figure → 95 % bootstrap interval), details.

        Args:
            seed: of the bootstrap.
        """
        return {
            "n": self.n,
            "scores": {name: metric.value for name, metric in self.metrics.items()} | dict(self.plain),
            "intervals": {name: asdict(bootstrap_interval(one, seed=seed)) for name, one in self.metrics.items()},
            **self.details,
        }


def by_name(metrics: Iterable[PerExample]) -> dict[str, PerExample]:
    """Metrics under the names that they have."""
    return {metric.name: metric for metric in metrics}


def compare_figures(a: Figures, b: Figures, *, seed: int) -> dict[str, PairedTest]:
    """Paired bootstrap tests of all figures that two models have on the same examples.

    Args:
        a: of one model.
        b: of the other, on the same examples in the same order.
        seed: of the bootstrap.

    Raises:
        DataError: for different numbers of examples.
    """
    return {
        name: paired_bootstrap(metric, b.metrics[name], seed=seed)
        for name, metric in a.metrics.items()
        if name in b.metrics
    }
