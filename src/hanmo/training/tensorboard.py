"""Mirrors the metrics for people who live in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from hanmo.core.errors import MissingExtraError

__all__ = ["Mirror", "tensorboard_mirror"]


class Mirror(Protocol):
    """Takes every event that goes to metrics.jsonl."""

    def __call__(self, event: Mapping[str, Any]) -> None: ...


@contextmanager
def tensorboard_mirror(folder: Path, *, enabled: bool, step: int) -> Iterator[Mirror]:
    """Yield a function that writes the numbers of an event under `train/` or `eval/`, or one that does nothing.

    Args:
        folder: where the event files go.
        enabled: whether anything is written.
        step: step that training goes on from; later points of an earlier session are hidden.

    Raises:
        MissingExtraError: if it is enabled and tensorboard is not installed.
    """
    if not enabled:
        yield lambda event: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "track", "training.tensorboard = true") from error
    with SummaryWriter(str(folder), purge_step=step + 1) as writer:

        def mirror(event: Mapping[str, Any]) -> None:
            group, values = ("eval", event["eval"]) if "eval" in event else ("train", event)
            for name, value in values.items():
                if isinstance(value, int | float) and name != "step":
                    writer.add_scalar(f"{group}/{name}", value, event["step"])

        yield mirror
