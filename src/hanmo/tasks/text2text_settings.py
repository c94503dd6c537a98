"""How a text is written for a text: what is lowered in training, how the final texts are searched for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hanmo.core.settings import Settings

__all__ = ["DecodingSettings", "Overlong", "Text2TextLoss"]

Overlong = Literal["error", "drop", "truncate"]


class Text2TextLoss(Settings):
    """What is lowered."""

    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of each target that is spread over the whole vocabulary (Szegedy et al., 2016, §7)."""


class DecodingSettings(Settings):
    """How the texts are written that are judged at the end; also what the saved model does unless told otherwise."""

    num_beams: int = Field(default=5, ge=1, le=1024)
    """Beginnings that are kept at each step; 1 takes the most probable token each time."""
    length_penalty: float = Field(default=1.0, ge=-10.0, le=10.0)
    """The log-probability of a text is divided by its length to this power."""
    max_new_tokens: int = Field(default=200, ge=1)
    """Most tokens of a text; no more than the model's longest."""
    no_repeat_ngram_size: int = Field(default=0, ge=0)
    """No n tokens in a row occur twice in a text; 0 = off."""
