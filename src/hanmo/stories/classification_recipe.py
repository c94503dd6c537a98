"""The recipe of a classifier of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings
from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.augment_settings import AugmentSettings
from hanmo.tasks.text_examples import TextData
from hanmo.tasks.text_loss import LossSettings, check_loss

if TYPE_CHECKING:
    from hanmo.stories.classify import ClassificationWork

__all__ = ["CalibrationSection", "ClassificationRecipe"]


class CalibrationSection(Settings):
    """What is fitted on the dev set after training, and saved with the model."""

    temperature: bool = False
    """Make probabilities mean what they say, by dividing scores by one number (Guo et al., 2017, eq. 9)."""
    thresholds: bool = False
    """Of each class the probability above which it applies, for the highest F1; kind = "multi" only."""

    @model_validator(mode="after")
    def _something_is_asked(self) -> CalibrationSection:
        if not (self.temperature or self.thresholds):
            raise ValueError("nothing is asked for; set temperature or thresholds, or leave the section out")
        return self


class ClassificationRecipe(TaskRecipe):
    """Labelled texts → model → evaluation → report."""

    task: Literal["text-classification"] = "text-classification"
    """What kind of story this is."""
    name: str = Field(default="classifier", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: TextData
    model: EncoderSection = EncoderSection()
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    calibration: CalibrationSection | None = None
    """Nothing is fitted if None."""

    @model_validator(mode="after")
    def _one_change_of_the_vectors(self) -> ClassificationRecipe:
        if self.loss.adversarial and self.augment.mixup != "none":
            raise ValueError("loss.adversarial and augment.mixup both change the token vectors; choose one of them")
        return self

    @model_validator(mode="after")
    def _loss_fits_the_kind(self) -> ClassificationRecipe:
        check_loss(self.loss, self.data.kind)
        return self

    @model_validator(mode="after")
    def _calibration_fits_the_kind(self) -> ClassificationRecipe:
        if self.calibration is not None:
            if self.data.kind == "regression":
                raise ValueError("numbers have no probabilities to calibrate; leave [calibration] out")
            if self.calibration.thresholds and self.data.kind != "multi":
                raise ValueError('thresholds are for kind = "multi"; of a single class the most probable is told')
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (
            self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings,
            self.augment.vectors, self.augment.checkpoint,
        )  # fmt: skip
        return tuple(path for path in paths if path is not None)

    def work(self) -> ClassificationWork:
        from hanmo.stories.classify import ClassificationWork

        return ClassificationWork(self)
