"""What the `[augment]` section of a recipe says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.settings import Settings, differs

__all__ = ["AugmentSettings", "Operation"]

Operation = Literal["synonym", "insert", "swap", "delete", "homophone", "masked-lm"]
"""How a copy of a text differs from it. The first four together are EDA (Wei & Zou, 2019, §2)."""


class AugmentSettings(Settings):
    """More training examples than there are: changed copies, and mixtures. Nothing here touches dev or test."""

    operations: tuple[Operation, ...] = ()
    """What is done to copies, one operation each, drawn at random: `synonym` (a neighbour among word vectors takes a
    word's place), `insert` (a neighbour of one of its words anywhere in the text), `swap` (two words change places),
    `delete`, `homophone` (another Chinese word, or character, that is read alike), `masked-lm` (what a masked language
    model reads in a word's place: Kobayashi, 2018, with a masked model as in Wu et al., 2019, without its labels)."""
    copies: int = Field(default=1, ge=1, le=16)
    """Copies of each training example, besides itself."""
    share: float = Field(default=0.1, gt=0, le=0.5)
    """Share of the words of a text that is changed; one word at least."""
    vectors: str | None = None
    """Word vectors for `synonym` and `insert`: a file, or a folder of `hanmo vectors train`."""
    checkpoint: str | None = None
    """Model for `masked-lm`: a model directory or a name on the Hugging Face hub."""
    neighbours: int = Field(default=10, ge=1, le=100)
    """Words that are drawn from: the nearest, or those that the masked model finds most probable."""
    min_cosine: float = Field(default=0.5, ge=0, lt=1)
    """Neighbours are at least as near as this."""
    frequent: float = Field(default=0.005, gt=0, le=1)
    """Words that are a larger share of all words of the training texts (的, not, the) are never replaced."""
    mixup: Literal["none", "words", "sentences"] = "none"
    """Learn from mixtures of two examples and of their labels (Guo et al., 2019): of their word vectors (eq. 1), or of
    what the classifier sees of them (eq. 2)."""
    mixup_alpha: float = Field(default=1.0, gt=0, le=100)
    """Shares of the two are drawn from Beta(α, α): 1 draws all alike, less stays nearer to one of the two."""

    @model_validator(mode="after")
    def _parts_fit(self) -> AugmentSettings:
        chosen = set(self.operations)
        if len(chosen) < len(self.operations):
            raise ValueError("an operation is named twice; name it once")
        by_vectors = chosen & {"synonym", "insert"}
        if by_vectors and self.vectors is None:
            raise ValueError(
                f"{' and '.join(sorted(by_vectors))} need word vectors; give vectors, or leave the operation out"
            )
        if self.vectors is not None and not by_vectors:
            raise ValueError("vectors are of no use without the operation synonym or insert; leave them out")
        if ("masked-lm" in chosen) != (self.checkpoint is not None):
            raise ValueError("masked-lm and checkpoint belong together; give both or neither")
        changed = {name for name in type(self).model_fields if differs(self, name)}
        if not chosen and changed & {"copies", "share", "neighbours", "min_cosine", "frequent"}:
            raise ValueError("without operations no copies are made; name the operations")
        if self.mixup == "none" and "mixup_alpha" in changed:
            raise ValueError("mixup_alpha has no meaning without mixup; set mixup, or leave it out")
        return self
