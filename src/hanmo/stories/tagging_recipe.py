"""The recipe of a tagger of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from hanmo.stories.task_recipe import EncoderSection, TaskRecipe
from hanmo.tasks.tag_examples import TagData

if TYPE_CHECKING:
    from hanmo.stories.tag import TaggingWork

__all__ = ["TaggerSection", "TaggingRecipe"]


class TaggerSection(EncoderSection):
    """A trained model to start from, or the shape of one that starts from nothing."""

    encoder: Literal["bag", "cnn", "bilstm", "transformer"] = "bilstm"
    """Without a checkpoint: word vectors alone, convolutions, LSTM both ways, or a small BERT."""
    crf: bool | None = None
    """Choose the tags of a sentence together, by a linear-chain CRF (Lample et al., 2016); where there is one if None: not
    with bag and cnn."""
    characters: bool | None = None
    """Read words by their characters too (Ma & Hovy, 2016); where it can be if None: not with a Transformer or a checkpoint,
    nor where words are characters."""
    case_features: bool = False
    """Tell a checkpoint how words are spelt (capitals, digits), by more kinds of segments: for uncased ones."""

    @model_validator(mode="after")
    def _parts_fit(self) -> TaggerSection:
        if self.checkpoint is not None:
            if self.characters:
                raise ValueError("characters cannot be added to a checkpoint; leave it out")
        elif self.case_features:
            raise ValueError("case_features is for a checkpoint; a model from nothing has characters")
        elif self.crf and self.encoder in ("bag", "cnn"):
            raise ValueError(f"encoder = {self.encoder!r} has no CRF; take bilstm or transformer, or set crf = false")
        elif self.characters and self.encoder == "transformer":
            raise ValueError("a transformer reads no characters; leave characters out")
        return self

    @property
    def has_crf(self) -> bool:
        """Whether tags are chosen together."""
        if self.crf is not None:
            return self.crf
        return self.checkpoint is not None or self.encoder in ("bilstm", "transformer")

    @property
    def shape_fields(self) -> frozenset[str]:
        return super().shape_fields - {"crf", "case_features", "characters"}


class TaggingRecipe(TaskRecipe):
    """Tagged sentences → model → evaluation → report."""

    task: Literal["token-classification"] = "token-classification"
    """What kind of story this is."""
    name: str = Field(default="tagger", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: TagData
    model: TaggerSection = TaggerSection()

    @property
    def sources(self) -> tuple[str, ...]:
        paths = (self.data.train, self.data.dev, self.data.test, self.model.checkpoint, self.model.embeddings)
        return tuple(path for path in paths if path is not None)

    def work(self) -> TaggingWork:
        from hanmo.stories.tag import TaggingWork

        return TaggingWork(self)
