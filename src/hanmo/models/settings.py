"""Settings that families share."""

from __future__ import annotations

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.models.heads import ProblemType

__all__ = ["DecoderHeadSettings", "HeadSettings"]


class HeadSettings(Settings):
    """What heads for classification need to know besides the shape of the stack."""

    labels: tuple[str, ...] = Field(("LABEL_0", "LABEL_1"), min_length=1)
    """Names of the classes, in the order of their scores."""
    problem_type: ProblemType | None = None
    """Which loss a classifier of rows takes; by labels and their dtype if None."""

    @property
    def n_labels(self) -> int:
        """Number of classes."""
        return len(self.labels)


class DecoderHeadSettings(HeadSettings):
    """The same for causal families."""

    dropout_head: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an element before a classifier of tokens."""
