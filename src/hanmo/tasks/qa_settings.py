"""How questions are put to a model and its answers are chosen; kept with the model, since it was trained so."""

from __future__ import annotations

from pydantic import Field, model_validator

from hanmo.core.settings import Settings

__all__ = ["AnswerSettings"]


class AnswerSettings(Settings):
    """Windows over long texts, and which answers there may be."""

    window: int = Field(default=384, ge=16)
    """Most tokens of a question with its text, or with a part of it; fewer where the model can read fewer."""
    overlap: int = Field(default=128, ge=0)
    """Tokens of the text that a window shares with the one before."""
    max_answer_len: int = Field(default=30, ge=1)
    """Longest answer, in tokens."""
    empty_windows: int = Field(default=4, ge=1)
    """Most windows without the answer that are learned of each question, where its text has many; drawn by the seed."""
    no_answer: float | None = None
    """Log-odds of "no answer" against the best one from which on there is none; chosen on dev, where training has
    questions without an answer, if None."""

    @model_validator(mode="after")
    def _windows_go_on(self) -> AnswerSettings:
        if self.overlap > self.window // 2:
            raise ValueError(f"overlap = {self.overlap} is more than half of window = {self.window}")
        return self
