"""How far a model prefers what people prefer, more than it did before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hanmo.metrics.per_example import mean_of
from hanmo.tasks.figures import Figures
from hanmo.tasks.preference_learning import EncodedPair, PreferenceSettings, preference_losses
from hanmo.tasks.win_rate import wins

__all__ = ["glance_at_preferences", "preference_figures", "preference_records"]

Scores = Sequence[tuple[float, float]]
"""log π of the chosen and of the rejected answer of each pair."""


def _columns(scores: Scores, reference: Scores, settings: PreferenceSettings) -> dict[str, list[float]]:
    """Figures of each pair; rewards are β log π/π₀ (Rafailov et al., 2023, §5), also where the loss is another."""
    ratio = torch.tensor(scores, dtype=torch.float64) - torch.tensor(reference, dtype=torch.float64)  # (N, 2)
    rewards = settings.beta * ratio
    return {
        "preference_accuracy": wins(rewards[:, 0].tolist(), rewards[:, 1].tolist()),
        "margin": (rewards[:, 0] - rewards[:, 1]).tolist(),
        "reward_chosen": rewards[:, 0].tolist(),
        "reward_rejected": rewards[:, 1].tolist(),
        "loss": preference_losses(ratio[:, 0] - ratio[:, 1], settings).tolist(),
    }


def glance_at_preferences(scores: Scores, reference: Scores, settings: PreferenceSettings) -> dict[str, float]:
    """What is watched while training; `error` is the loss."""
    found = {name: sum(values) / len(values) for name, values in _columns(scores, reference, settings).items()}
    return {"error": found["loss"], "accuracy": found["preference_accuracy"], "margin": found["margin"]}


def preference_figures(scores: Scores, reference: Scores, settings: PreferenceSettings) -> Figures:
    """All figures of one split.

    Returns:
        The share of pairs whose chosen answer has the larger reward (a tie is half of one), the margin of rewards, both
        rewards, the loss.
    """
    columns = _columns(scores, reference, settings)
    return Figures(n=len(scores), metrics={name: mean_of(values, name) for name, values in columns.items()})


def preference_records(
    pairs: Sequence[EncodedPair], scores: Scores, reference: Scores, settings: PreferenceSettings
) -> list[dict[str, Any]]:
    """One record for each pair, plain values for JSON: those it is most wrong about first."""
    margins = _columns(scores, reference, settings)["margin"]
    order = sorted(range(len(pairs)), key=lambda place: margins[place])
    records = []
    for place in order:
        pair, right = pairs[place].pair, margins[place] > 0
        records.append({
            "where": pair.where, "right": right, "label": pair.chosen, "text": pair.asked,
            "predicted": pair.chosen if right else pair.rejected,
            "probability": float(torch.sigmoid(torch.tensor(abs(margins[place])))),
        })  # fmt: skip
    return records
