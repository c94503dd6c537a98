"""The recipe of a model that learns from preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.stories.task_recipe import TaskRecipe, TaskTraining
from hanmo.tasks.preference_examples import PreferenceData
from hanmo.tasks.preference_learning import PreferenceSettings

if TYPE_CHECKING:
    from hanmo.stories.preferences import PreferencesWork

__all__ = ["PreferencesRecipe", "PreferencesSection"]


class PreferencesSection(Settings):
    """The model to start from, which is also what it is held to."""

    checkpoint: str
    """Model directory or name on the Hugging Face hub, of any family that continues texts; best one that was tuned on
    conversations before (`task = "dialogue"`)."""
    template: str | None = None
    """As `template` of a dialogue recipe; for prompts that are messages."""


class PreferencesRecipe(TaskRecipe):
    """Pairs of answers → model → evaluation → report."""

    task: Literal["preferences"] = "preferences"
    """What kind of story this is."""
    name: str = Field(default="preferences", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: PreferenceData
    model: PreferencesSection
    preferences: PreferenceSettings = PreferenceSettings()
    batch_size: int = Field(default=8, ge=1)
    """Pairs in a micro-batch."""
    training: TaskTraining = TaskTraining(epochs=1, lr=1e-5)

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (self.data.train, self.data.dev, self.data.test, self.model.checkpoint)
        return tuple(path for path in paths if path is not None)

    def work(self) -> PreferencesWork:
        from hanmo.stories.preferences import PreferencesWork

        return PreferencesWork(self)
