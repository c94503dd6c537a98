"""How a text is written for a text: what is lowered in training, how the final texts are searched for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

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
    """Most tokens of a text; no more than the model's longest. A decoder's sources leave so much of its context free."""
    no_repeat_ngram_size: int = Field(default=0, ge=0)
    """No n tokens in a row occur twice in a text; 0 = off. In that of a decoder its source counts, too, as in `transformers`."""

    @model_validator(mode="after")
    def _greedy_may_repeat(self) -> DecodingSettings:
        if self.num_beams == 1 and self.no_repeat_ngram_size:
            raise ValueError("no_repeat_ngram_size is a rule of the search: give num_beams above 1, or leave it out")
        return self
