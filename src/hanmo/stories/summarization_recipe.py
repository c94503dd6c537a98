"""The recipes of a summariser, and of any text that is written for a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hanmo.core.settings import Settings
from hanmo.stories.text2text_recipe import Text2TextRecipe

if TYPE_CHECKING:
    from hanmo.stories.summarize import SummarizationWork, Text2TextGenerationWork

__all__ = ["BaselineSettings", "SummarizationRecipe", "Text2TextGenerationRecipe"]


class BaselineSettings(Settings):
    """Summaries without training that are judged beside those of the model."""

    lead: int = Field(default=1, ge=0)
    """The first so many sentences; 0 for none."""
    textrank: int = Field(default=1, ge=0)
    """So many sentences by TextRank (Mihalcea & Tarau, 2004); 0 for none."""


class SummarizationRecipe(Text2TextRecipe):
    """Texts and their summaries, or titles → summariser → ROUGE → report."""

    task: Literal["summarization"] = "summarization"
    """What kind of story this is."""
    name: str = Field(default="summariser", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    baselines: BaselineSettings = BaselineSettings()

    def work(self) -> SummarizationWork:
        from hanmo.stories.summarize import SummarizationWork

        return SummarizationWork(self)


class Text2TextGenerationRecipe(Text2TextRecipe):
    """Any aligned texts, such as sentences and questions about them → model → BLEU, ROUGE → report."""

    task: Literal["text2text-generation"] = "text2text-generation"
    """What kind of story this is."""
    name: str = Field(default="text2text", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}([_-][A-Za-z0-9]+)*$")
    """Language of the targets; BLEU goes by it."""

    def work(self) -> Text2TextGenerationWork:
        from hanmo.stories.summarize import Text2TextGenerationWork

        return Text2TextGenerationWork(self)
