"""What is minimised when a classifier of texts is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.tasks.text_examples import Kind

__all__ = ["LossSettings", "check_loss"]


class LossSettings(Settings):
    """What is minimised."""

    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: a class counts as much as any other, however rare (single and multi)."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the probability that the target gives to all classes alike (Szegedy et al., 2016, §7); single only."""
    focal_gamma: float = Field(default=0.0, ge=0)
    """Turns down what is told right already, by (1 - p)^γ (Lin et al., 2017, eq. 4); single only."""
    adversarial: float = Field(default=0.0, ge=0)
    """Learn each batch a second time with its token vectors pushed so far where the loss grows fastest (Miyato et al., 2017);
    0 does not. In units of the vectors: 0.3, a third of the length of one, was better than none on SST-2."""


def check_loss(loss: LossSettings, kind: Kind) -> None:
    """Settings must mean something for the kind of labels.

    Raises:
        ValueError: names one that does not.
    """
    meaningless = {
        "single": (), "multi": ("label_smoothing", "focal_gamma"), "regression": ("class_weights", "label_smoothing", "focal_gamma"),
    }[kind]  # fmt: skip
    if name := next((name for name in meaningless if getattr(loss, name) != getattr(LossSettings(), name)), None):
        raise ValueError(f'loss.{name} has no meaning for kind = "{kind}"; leave it out')
