"""The recipe of a translator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings
from hanmo.stories.text2text_recipe import Text2TextRecipe
from hanmo.tasks.translation_data import TranslationData

if TYPE_CHECKING:
    from hanmo.stories.translate import TranslationWork

__all__ = ["BackTranslation", "TranslationRecipe"]


class BackTranslation(Settings):
    """Text of the target language alone, for which one's own model of the other direction writes sources (Sennrich et al.,
    2016)."""

    texts: str
    """A file with a text on each line, or .jsonl with "text" in each object; also as .gz."""
    model: str
    """Model directory of a translator from the target language into the source language."""
    num_beams: int = Field(default=1, ge=1)
    """1 takes the most probable token each time."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many texts, the first ones."""
    marked: bool = True
    """Put a token in front of sources that were written so (Caswell et al., 2019)."""

    @field_validator("texts", "model")
    @classmethod
    def _path_is_known(cls, path: str) -> str:
        return existing_path(path)


class TranslationRecipe(Text2TextRecipe):
    """Translations → translator → BLEU, chrF, TER → report."""

    task: Literal["translation"] = "translation"
    """What kind of story this is."""
    name: str = Field(default="translator", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    data: TranslationData  # pyright: ignore[reportIncompatibleVariableOverride]
    back_translation: BackTranslation | None = None
    """No text of one language alone if None."""

    @model_validator(mode="after")
    def _back_translation_has_one_pair(self) -> TranslationRecipe:
        if self.back_translation is not None and len(self.data.all_pairs) > 1:
            raise ValueError("back_translation is for a model of one pair of languages")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        parts = (self.data, *self.data.also, *self.data.unseen)
        found = [
            getattr(part, f"{name}{side}")
            for part in parts
            for name in ("train", "dev", "test")
            for side in ("", "_target")
        ]
        back = self.back_translation
        found += [self.model.checkpoint, self.tokenizer.path, *((back.texts, back.model) if back is not None else ())]
        return tuple(dict.fromkeys(path for path in found if path is not None))

    def work(self) -> TranslationWork:
        from hanmo.stories.translate import TranslationWork

        return TranslationWork(self)
