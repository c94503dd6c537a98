"""The recipe of a grader of short answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.grading_examples import GradingData

if TYPE_CHECKING:
    from hanmo.stories.grade import GradingWork

__all__ = ["GraderSection", "GradingRecipe"]


class GraderSection(EncoderSection):
    """A trained model to start from, or the shape of one that starts from nothing."""

    encoder: Literal["bag", "cnn", "bilstm", "transformer"] = "transformer"
    """Without a checkpoint: of these only a Transformer compares the words of answer and reference with each other."""


class GradingRecipe(TaskRecipe):
    """Graded answers → model → evaluation → report."""

    task: Literal["grading"] = "grading"
    """What kind of story this is."""
    name: str = Field(default="grader", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: GradingData
    model: GraderSection = GraderSection()

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings)
        return tuple(path for path in paths if path is not None)

    def work(self) -> GradingWork:
        from hanmo.stories.grade import GradingWork

        return GradingWork(self)
