"""The recipe of an encoder whose vectors tell which texts are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.similarity_settings import SimilarityData, SimilarityLoss

if TYPE_CHECKING:
    from hanmo.stories.similarity import SimilarityWork

__all__ = ["SentenceSection", "SimilarityRecipe"]


class SentenceSection(EncoderSection):
    """A trained model to start from, or the shape of one that starts from nothing."""

    pooling: Literal["mean", "cls", "max"] | None = None
    """How the vectors of a text become one: their mean, the first, the largest values; what a checkpoint says, or mean."""

    @property
    def shape_fields(self) -> frozenset[str]:
        return super().shape_fields - {"pooling"}

    @model_validator(mode="after")
    def _dropout_has_a_place(self) -> SentenceSection:
        if self.checkpoint is not None and self.dropout is not None:
            raise ValueError("dropout is that of a head, which there is none of here; a checkpoint has its own inside")
        if self.encoder == "bag" and self.freeze_embeddings:
            raise ValueError(
                "a bag of frozen word vectors has nothing to learn; take another encoder, or let them move"
            )
        return self


class SimilarityRecipe(TaskRecipe):
    """Texts that are alike → encoder → evaluation → report."""

    task: Literal["sentence-similarity"] = "sentence-similarity"
    """What kind of story this is."""
    name: str = Field(default="sentences", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: SimilarityData
    model: SentenceSection = SentenceSection()
    loss: SimilarityLoss = SimilarityLoss()

    @model_validator(mode="after")
    def _loss_fits_the_data(self) -> SimilarityRecipe:
        kind = self.loss.chosen(self.data.kind)
        if kind == "ranking" and self.batch_size < 2:
            raise ValueError("batch_size = 1 leaves nothing to choose from; the ranking loss needs 2 or more")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings)
        return tuple(path for path in paths if path is not None)

    def work(self) -> SimilarityWork:
        from hanmo.stories.similarity import SimilarityWork

        return SimilarityWork(self)
