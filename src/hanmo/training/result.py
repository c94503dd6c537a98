"""What a training run came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FitResult"]


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """Outcome of `fit`; the model that was handed in holds the trained weights."""

    status: Literal["finished", "early_stopped", "stopped"]
    """`stopped`: a signal asked for it, and the checkpoint can be resumed."""
    stopped_by: str | None
    """"SIGTERM" or "SIGINT" when `status` is "stopped"."""
    step: int
    """Optimizer steps done, skipped ones included."""
    n_steps: int
    """Optimizer steps of the whole run."""
    n_tokens: int
    """Tokens that counted in the loss, over the whole run."""
    seconds: float
    """Time spent in all sessions of this run, evaluation and checkpoints included."""
    tokens_per_s: float
    """Mean speed of the training steps of this session; 0 if it did none."""
    loss: float | None
    """Loss of the last step, in nats per token."""
    evaluation: dict[str, float | None]
    """Latest evaluation, None for what was not finite; empty if there was none."""
    best: float | None
    """Lowest value of the monitored figure."""
    best_step: int | None
    """Where that was; with `patience` set, the model holds the weights of this step."""
    skipped: int
    """Steps left out because of NaN or infinite values."""
    compiled: bool
    """Whether `torch.compile` was used."""
    checkpoint: Path | None
    """The newest checkpoint; None if a signal came before the first."""
