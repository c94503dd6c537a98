"""What a run is made of, so that a checkpoint is only taken up by the run it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hanmo.core.errors import TrainingError
from hanmo.training.settings import TrainingSettings

__all__ = ["check_identity", "run_identity"]

_FREE = {"log_every", "tensorboard", "checkpoint_steps", "checkpoint_seconds", "keep_checkpoints"}
"""Settings that may change on resume, because no weight depends on them."""
_LATER = {"head_lr", "layer_decay", "unfreeze_steps"}
"""Settings that checkpoints of earlier versions do not name; None, which changes nothing, is not named either."""


def run_identity(identity: Mapping[str, str], fingerprint: str, settings: TrainingSettings) -> dict[str, str]:
    """All that the weights depend on: the caller's hashes, the data and order of the batches, the settings."""
    values = {
        key: value
        for key, value in settings.model_dump(mode="json").items()
        if key not in _FREE and not (key in _LATER and value is None)
    }
    return (
        dict(identity)
        | {"batches": fingerprint}
        | {f"training.{key}": json.dumps(value, sort_keys=True) for key, value in sorted(values.items())}
    )


def check_identity(saved: Mapping[str, str], current: Mapping[str, str], where: object) -> None:
    """Refuse a checkpoint of another run.

    Raises:
        TrainingError: lists every entry that differs, with both values.
    """
    lines = [
        f"  {key}: {saved.get(key, '(absent)')} -> {current.get(key, '(absent)')}"
        for key in sorted(set(saved) | set(current))
        if saved.get(key) != current.get(key)
    ]
    if lines:
        raise TrainingError(
            "this checkpoint belongs to another run; changed since (saved -> now):\n" + "\n".join(lines) + "\n",
            where=where,
            remedy="Put it back as it was, or start a new run in another folder.",
        )
