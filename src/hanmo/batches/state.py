"""Where batches stand, as checkpoints hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import TrainingError

__all__ = ["check_fingerprint", "damaged_state"]


def check_fingerprint(state: Mapping[str, Any], fingerprint: str) -> None:
    """Make sure that a state belongs to these batches.

    Raises:
        TrainingError: if it does not.
    """
    if state.get("fingerprint", fingerprint) != fingerprint:
        raise TrainingError(
            "the checkpoint was written with other training data or batch settings", where="batches",
            remedy="Resume with the data and recipe of the run, or start a new run.",
        )  # fmt: skip


def damaged_state(state: Mapping[str, Any]) -> TrainingError:
    """For a state that cannot be read."""
    return TrainingError(f"the state of the batches is damaged: {dict(state)}", where="batches")
