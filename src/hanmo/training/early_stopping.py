"""Stops when held-out figures no longer improve, and remembers which step was best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.training.direction import is_lower_better
from hanmo.training.settings import TrainingSettings

__all__ = ["EarlyStopping"]


@dataclass
class EarlyStopping:
    """Best evaluation so far and how long ago it was; part of the checkpoint."""

    best: float | None = None
    """Best value of the watched figure."""
    best_step: int | None = None
    evaluations_since: int = 0
    """Evaluations without improvement."""

    def observe(self, evaluation: Mapping[str, float], step: int, settings: TrainingSettings) -> bool:
        """Take note of an evaluation; return whether it is the best so far.

        Raises:
            ConfigError: if `patience` watches a figure that the evaluation does not give.
        """
        if settings.monitor not in evaluation:
            if settings.patience is None:
                return False
            raise ConfigError(
                f"the evaluation gives no {settings.monitor!r}", where="training.monitor",
                remedy=f"It gives: {', '.join(sorted(evaluation))}.",
            )  # fmt: skip
        value = evaluation[settings.monitor]
        sign = 1 if is_lower_better(settings.monitor) else -1
        if math.isfinite(value) and (self.best is None or sign * (self.best - value) > settings.min_delta):
            self.best, self.best_step, self.evaluations_since = value, step, 0
            return True
        self.evaluations_since += 1
        return False

    def exhausted(self, settings: TrainingSettings) -> bool:
        """Whether patience has run out."""
        return settings.patience is not None and self.evaluations_since >= settings.patience

    def state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def restore(self, state: dict[str, Any]) -> None:
        """Take the values of `state`."""
        self.best, self.best_step, self.evaluations_since = (
            state["best"],
            state["best_step"],
            state["evaluations_since"],
        )
