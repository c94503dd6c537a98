"""One training loop, handed model, loss, batches and evaluation; resumes bit-exactly after a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hanmo.training.checkpoint import latest_checkpoint, read_checkpoint
    from hanmo.training.interfaces import Batches, Evaluate, Loss
    from hanmo.training.loop import fit
    from hanmo.training.result import FitResult
    from hanmo.training.schedules import learning_rate
    from hanmo.training.settings import ScheduleSettings, TrainingSettings

__all__ = [
    "Batches",
    "Evaluate",
    "FitResult",
    "Loss",
    "ScheduleSettings",
    "TrainingSettings",
    "fit",
    "latest_checkpoint",
    "learning_rate",
    "read_checkpoint",
]

_MODULES = {
    "Batches": "interfaces",
    "Evaluate": "interfaces",
    "FitResult": "result",
    "Loss": "interfaces",
    "ScheduleSettings": "settings",
    "TrainingSettings": "settings",
    "fit": "loop",
    "latest_checkpoint": "checkpoint",
    "learning_rate": "schedules",
    "read_checkpoint": "checkpoint",
}


def __getattr__(name: str) -> Any:
    """Load on first use: recipes need the settings without torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
