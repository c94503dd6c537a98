"""Settings that families share."""

from __future__ import annotations

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.models.heads import ProblemType

__all__ = ["Calibration", "DecoderHeadSettings", "HeadSettings"]


class Calibration(Settings):
    """What was fitted on a dev set after training, and is applied to scores when the model is asked."""

    temperature: float = Field(default=1.0, gt=0)
    """Scores are divided by it (Guo et al., 2017, eq. 9)."""
    thresholds: tuple[float, ...] = ()
    """Of each class the probability above which it applies, where several may; a half each if there are none."""


class HeadSettings(Settings):
    """What heads for classification need to know besides the shape of the stack."""

    labels: tuple[str, ...] = Field(("LABEL_0", "LABEL_1"), min_length=1)
    """Names of the classes, in the order of their scores."""
    problem_type: ProblemType | None = None
    """Which loss a classifier of rows takes; by labels and their dtype if None."""
    calibration: Calibration | None = None
    """How scores become probabilities and decisions; no weight depends on it."""

    @property
    def n_labels(self) -> int:
        """Number of classes."""
        return len(self.labels)


class DecoderHeadSettings(HeadSettings):
    """The same for causal families."""

    dropout_head: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element before a classifier of tokens."""
