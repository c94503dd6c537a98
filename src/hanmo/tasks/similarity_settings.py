"""What a recipe says about examples of which texts are alike, and about learning from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings, differs
from hanmo.tasks.splits import SplitData
from hanmo.tasks.tables import Column

__all__ = ["LossKind", "SimilarityData", "SimilarityLoss"]

LossKind = Literal["ranking", "triplet", "cosine"]
_FITTING: dict[str, tuple[LossKind, ...]] = {
    "pairs": ("ranking",),
    "triples": ("ranking", "triplet"),
    "scores": ("cosine",),
}


class SimilarityData(SplitData):
    """Where the examples are, and which column means what."""

    kind: Literal["pairs", "triples", "scores"] = "pairs"
    """Texts that belong together; with a third one that does not; or two texts and how alike they are."""
    text: Column = "text"
    """Column of the first text: a name in the first line, or a number from 1 for a file without names."""
    pair: Column = "pair"
    """Column of the text that belongs to it, or is compared with it."""
    negative: Column | None = None
    """Column of a text that does not belong to the first, `triples` only ("negative" unless given)."""
    score: Column | None = None
    """Column of how alike two texts are, `scores` only ("score" unless given)."""
    lowest: float = 0.0
    """Score of texts that have nothing in common."""
    highest: float = 1.0
    """Score of texts that mean the same; 5 for the STS benchmark."""
    empty: Literal["error", "drop"] = "error"
    """What to do with examples that have an empty text."""
    overlong: Literal["error", "truncate"] = "error"
    """What to do with texts longer than the model can read."""

    @model_validator(mode="after")
    def _columns_fit_the_kind(self) -> SimilarityData:
        if self.negative is not None and self.kind != "triples":
            raise ValueError(f'negative has no meaning for kind = "{self.kind}"; set kind = "triples"')
        given = [name for name in ("score", "lowest", "highest") if differs(self, name)]
        if given and self.kind != "scores":
            raise ValueError(f'{", ".join(given)} has no meaning for kind = "{self.kind}"; set kind = "scores"')
        if self.lowest >= self.highest:
            raise ValueError(f"lowest = {self.lowest:g} is not below highest = {self.highest:g}")
        return self

    @property
    def columns(self) -> dict[str, Column]:
        """What is read of each line."""
        columns: dict[str, Column] = {"text": self.text, "pair": self.pair}
        match self.kind:
            case "pairs":
                return columns
            case "triples":
                return columns | {"negative": "negative" if self.negative is None else self.negative}
            case "scores":
                return columns | {"score": "score" if self.score is None else self.score}


class SimilarityLoss(Settings):
    """What is minimised."""

    kind: LossKind | None = None
    """`ranking`: the other texts of a batch do not belong (pairs, triples; what they take if None). `triplet`: the third
    text is to be further by a margin. `cosine`: cosines are to be the scores (scores)."""
    temperature: float = Field(default=0.05, gt=0)
    """What cosines are divided by, `ranking` only."""
    margin: float = Field(default=0.3, gt=0, le=2)
    """By how much cosines are to differ, `triplet` only."""

    def chosen(self, data_kind: str) -> LossKind:
        """The loss for examples of this kind.

        Raises:
            ValueError: if they do not fit each other, or a setting has no meaning.
        """
        fitting = _FITTING[data_kind]
        kind = self.kind or fitting[0]
        if kind not in fitting:
            raise ValueError(f'loss.kind = "{kind}" is not for data.kind = "{data_kind}" ({" or ".join(fitting)})')
        for name, owner in (("temperature", "ranking"), ("margin", "triplet")):
            if differs(self, name) and kind != owner:
                raise ValueError(f'loss.{name} has no meaning for loss.kind = "{kind}"')
        return kind
