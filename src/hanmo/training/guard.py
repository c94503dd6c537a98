"""Stops a NaN or infinite loss or gradient before it reaches the weights."""

from __future__ import annotations

import math
from typing import Any, Literal

from hanmo.core.errors import TrainingError
from hanmo.training.gradients import Gradient

__all__ = ["Guard"]


class Guard:
    """Judges each gradient before its step. Its counters are part of the checkpoint: resume decides the same.

    Args:
        policy: "stop" at the first bad step, or "skip" it.
        limit: bad steps in a row at which "skip" gives up.
    """

    def __init__(self, policy: Literal["stop", "skip"], limit: int = 3):
        self.policy, self.limit = policy, limit
        self.in_a_row = 0
        self.skipped = 0

    def admits(self, gradient: Gradient, *, step: int, samples: dict[str, Any]) -> bool:
        """Whether the optimizer may use this gradient; False means: skip the step.

        Raises:
            TrainingError: if training has to stop.
        """
        if gradient.n_tokens == 0:
            raise TrainingError(
                f"step {step}: no token of the batch counts in the loss", where=f"samples {samples}",
                remedy="Look at the labels: all of them are masked.",
            )  # fmt: skip
        if math.isfinite(gradient.loss) and math.isfinite(gradient.norm):
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        found = f"step {step}: loss {gradient.loss}, gradient norm {gradient.norm}"
        if self.policy == "stop":
            raise TrainingError(
                f"{found}; stopped before the step, the weights are finite", where=f"samples {samples}",
                remedy="Lower lr, lengthen the warm-up, or set nan_policy = 'skip' and start again.",
            )  # fmt: skip
        self.skipped += 1
        if self.in_a_row >= self.limit:
            raise TrainingError(
                f"{found}; {self.limit} bad steps in a row, stopped before the step, the weights are finite",
                where=f"samples {samples}",
                remedy="Lower lr or lengthen the warm-up, and start again.",
            )
        return False

    def state(self) -> dict[str, int]:
        """Counters as plain JSON values."""
        return {"in_a_row": self.in_a_row, "skipped": self.skipped}

    def restore(self, state: dict[str, int]) -> None:
        """Take the counters of `state`."""
        self.in_a_row, self.skipped = state["in_a_row"], state["skipped"]
