"""The recipe of several tasks on one encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.settings import Settings
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.tagging_recipe import TaggerSection, TaggingRecipe
from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.tag_examples import TagData
from hanmo.tasks.text_examples import TextData
from hanmo.tasks.text_loss import LossSettings, check_loss

if TYPE_CHECKING:
    from hanmo.stories.multi_task import MultiTaskWork

__all__ = ["ClassificationEntry", "MultiTaskRecipe", "TaggingEntry"]


class _Entry(Settings):
    name: str = Field(pattern=r"^[\w\-]{1,40}$")
    """What this task is called: its model is model/NAME in the folder of the run."""


class ClassificationEntry(_Entry):
    """A task over texts."""

    task: Literal["text-classification"]
    """Which kind of task this is."""
    data: TextData
    loss: LossSettings = LossSettings()

    @model_validator(mode="after")
    def _loss_fits_the_kind(self) -> ClassificationEntry:
        check_loss(self.loss, self.data.kind)
        return self

    def recipe(self, whole: MultiTaskRecipe) -> ClassificationRecipe:
        """The task by itself."""
        return ClassificationRecipe(
            name=self.name, seed=whole.seed, lang=whole.lang, device=whole.device, batch_size=whole.batch_size,
            training=whole.training, data=self.data, model=whole.model, loss=self.loss,
        )  # fmt: skip


class TaggingEntry(_Entry):
    """A task over words."""

    task: Literal["token-classification"]
    """Which kind of task this is."""
    data: TagData
    crf: bool = False
    """Choose the tags of a sentence together; not with bag and cnn."""

    def recipe(self, whole: MultiTaskRecipe) -> TaggingRecipe:
        """The task by itself."""
        return TaggingRecipe(
            name=self.name, seed=whole.seed, lang=whole.lang, device=whole.device, batch_size=whole.batch_size,
            training=whole.training, data=self.data,
            model=TaggerSection.model_validate(whole.model.model_dump(exclude_unset=True) | {"crf": self.crf}),
        )  # fmt: skip


class MultiTaskRecipe(TaskRecipe):
    """Labelled examples of several tasks → one encoder with a head for each → evaluation → report."""

    task: Literal["multi-task"] = "multi-task"
    """What kind of story this is."""
    name: str = Field(default="multi-task", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    tasks: tuple[Annotated[ClassificationEntry | TaggingEntry, Field(discriminator="task")], ...] = Field(min_length=2)
    """Each with its name and its examples."""
    alpha: float = Field(default=1.0, ge=0, le=1)
    """Batches are drawn from tasks in proportion to their rows to this power: 1 by size, 0 from all alike. An epoch has as
    many batches as all tasks together."""
    model: EncoderSection = EncoderSection()

    @field_validator("tasks")
    @classmethod
    def _names_differ(
        cls, tasks: tuple[ClassificationEntry | TaggingEntry, ...]
    ) -> tuple[ClassificationEntry | TaggingEntry, ...]:
        if len({entry.name for entry in tasks}) < len(tasks):
            raise ValueError("two tasks have the same name; give each its own")
        return tasks

    @property
    def sources(self) -> tuple[str, ...]:
        paths = [path for entry in self.tasks for path in (entry.data.train, entry.data.dev, entry.data.test)]
        return tuple(path for path in (*paths, self.model.checkpoint, self.model.embeddings) if path is not None)

    def work(self) -> MultiTaskWork:
        from hanmo.stories.multi_task import MultiTaskWork

        return MultiTaskWork(self)
