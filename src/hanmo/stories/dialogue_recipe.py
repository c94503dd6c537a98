"""The recipe of a model that answers in conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hanmo.stories.decoder_model import DecoderSection
from hanmo.stories.task_recipe import TaskRecipe, TaskTraining
from hanmo.tasks.chat_settings import ChatSettings
from hanmo.tasks.dialogue_examples import DialogueData
from hanmo.tasks.dialogue_figures import AnsweringSettings

if TYPE_CHECKING:
    from hanmo.stories.dialogue import DialogueWork

__all__ = ["DialogueRecipe"]


class DialogueRecipe(TaskRecipe):
    """Conversations or instructions → model → evaluation → report."""

    task: Literal["dialogue"] = "dialogue"
    """What kind of story this is."""
    name: str = Field(default="dialogue", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: DialogueData
    model: DecoderSection = DecoderSection()
    chat: ChatSettings = ChatSettings()
    answers: AnsweringSettings = AnsweringSettings()
    training: TaskTraining = TaskTraining(epochs=3, beta2=0.95)

    @model_validator(mode="after")
    def _whole_answers_are_compared(self) -> DialogueRecipe:
        if self.answers.against is not None and self.chat.overlong == "truncate":
            raise ValueError(
                'answers.against compares whole conversations, and chat.overlong = "truncate" cuts some; take "split" or "drop"'
            )
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (
            self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings, self.answers.against
        )  # fmt: skip
        return tuple(path for path in paths if path is not None)

    def work(self) -> DialogueWork:
        from hanmo.stories.dialogue import DialogueWork

        return DialogueWork(self)
