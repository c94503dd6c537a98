"""Whether a small value of a figure is a good one, told by its name."""

from __future__ import annotations

__all__ = ["is_lower_better"]

_LOWER = (
    "loss", "error", "perplexity", "ter", "ece", "ece_uncalibrated", "bits_per_byte", "bits_per_character",
)  # fmt: skip
"""Names, and ends of names (hamming_loss, mean_squared_error, mood_error). All others measure what is right."""


def is_lower_better(name: str) -> bool:
    """For `perplexity`, `mean_squared_error` and the like; with the name of a task before it in `mood_error` or "mood error"."""
    return any(name == figure or name.endswith((f"_{figure}", f" {figure}")) for figure in _LOWER)
