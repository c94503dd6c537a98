"""The recipe of a model that answers questions out of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.qa_examples import AnswerData
from hanmo.tasks.qa_settings import AnswerSettings

if TYPE_CHECKING:
    from hanmo.stories.answer import AnsweringWork

__all__ = ["AnswererSection", "AnsweringRecipe"]


class AnswererSection(EncoderSection):
    """A trained model to start from, or the shape of one that starts from nothing."""

    encoder: Literal["bag", "cnn", "bilstm", "transformer"] = "bilstm"
    """Without a checkpoint: an LSTM both ways, or a small BERT, over the question and its text."""
    match_features: bool | None = None
    """Tell the model which words of a text are in the question, by one more kind of segment (the exact match of Chen et
    al., 2017, §3.2); if None, a model from nothing is told and a checkpoint is not."""

    @model_validator(mode="after")
    def _encoder_points(self) -> AnswererSection:
        if self.encoder in ("bag", "cnn"):
            raise ValueError(
                f"encoder = {self.encoder!r} sees too little to point at answers; take bilstm or transformer"
            )
        return self

    @property
    def shape_fields(self) -> frozenset[str]:
        return super().shape_fields - {"match_features"}

    @property
    def tells_matches(self) -> bool:
        """Whether the model is told."""
        return self.checkpoint is None if self.match_features is None else self.match_features


class AnsweringRecipe(TaskRecipe):
    """Questions on texts → model → evaluation → report."""

    task: Literal["question-answering"] = "question-answering"
    """What kind of story this is."""
    name: str = Field(default="answerer", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: AnswerData
    model: AnswererSection = AnswererSection()
    answers: AnswerSettings = AnswerSettings()

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings)
        return tuple(path for path in paths if path is not None)

    def work(self) -> AnsweringWork:
        from hanmo.stories.answer import AnsweringWork

        return AnsweringWork(self)
