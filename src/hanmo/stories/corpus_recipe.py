"""The recipe of a corpus: its sources, and what is done to their documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings
from hanmo.corpora.settings import CorpusSettings, Source

__all__ = ["CorpusRecipe", "RecipeSource"]


class RecipeSource(Source):
    """A source, its path checked; it may begin with a variable of the environment ($HANMO_DATA/…), or name a data set of the
    Hugging Face hub (hf://datasets/ORG/NAME)."""

    @field_validator("path")
    @classmethod
    def _path_exists(cls, path: str) -> str:
        return path if path == "stdlib" or path.startswith("hf:") else existing_path(path)


class CorpusRecipe(Settings):
    """Sources → documents → corpus → data card."""

    task: Literal["corpus"] = "corpus"
    """What kind of story this is."""
    name: str = Field(default="corpus", pattern=r"^[\w.\-]{1,64}$")
    """Name of the corpus; the folder is corpora/NAME unless told otherwise."""
    lang: Literal["en", "zh"] = "en"
    """Language of the data card."""
    sources: tuple[RecipeSource, ...] = Field(min_length=1)
    """What is read, in order: of two copies the first stays."""
    corpus: CorpusSettings = CorpusSettings()
    """What is done to it."""

    @model_validator(mode="after")
    def _names_differ(self) -> CorpusRecipe:
        names = [source.name for source in self.sources]
        if len(names) > 1 and (not all(names) or len(set(names)) < len(names)):
            raise ValueError("several sources need a name each, and no two the same: ids of documents begin with it")
        return self
