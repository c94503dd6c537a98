"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from hanmo.training.settings import TrainingSettings

__all__ = ["decay_length", "learning_rate", "warmup_length"]

_WSD_DECAY_FRACTION = 0.2


def warmup_length(settings: TrainingSettings, n_steps: int) -> int:
    """Number of warm-up steps in a run of `n_steps`."""
    schedule = settings.schedule
    length = schedule.warmup_steps if schedule.warmup_steps is not None else round(schedule.warmup_fraction * n_steps)
    return min(length, n_steps)


def decay_length(settings: TrainingSettings, n_steps: int) -> int:
    """Number of steps of the final decay of `wsd` in a run of `n_steps`."""
    return max(1, round((settings.schedule.decay_fraction or _WSD_DECAY_FRACTION) * n_steps))


def learning_rate(settings: TrainingSettings, step: int, n_steps: int) -> float:
    """Learning rate of the update that follows `step` completed ones.

    Warm-up is linear, from lr / W to lr over W steps. Then `cosine` (Loshchilov & Hutter, 2017, eq. 5, one
    cycle), `wsd` (Hu et al., 2024, §4.2) with the 1 - sqrt decay of Hägele et al. (2024, eq. 2), or `inverse_sqrt`
    (Vaswani et al., 2017, eq. 3).

    Args:
        settings: highest rate and schedule.
        step: updates done so far, in [0, n_steps).
        n_steps: updates of the whole run.
    """
    warmup = warmup_length(settings, n_steps)
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule.kind == "inverse_sqrt":
        return settings.lr * math.sqrt(max(1, warmup) / (step + 1))
    if settings.schedule.kind == "cosine":
        progress = (step - warmup) / max(1, n_steps - warmup)
        shape = 0.5 * (1 + math.cos(math.pi * progress))
    else:
        start = max(warmup, n_steps - decay_length(settings, n_steps))
        shape = 1 - math.sqrt(max(0, step - start) / max(1, n_steps - start))
    floor = settings.schedule.final_fraction
    return settings.lr * (floor + (1 - floor) * shape)
