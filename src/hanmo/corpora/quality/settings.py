"""Settings of the quality rules."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hanmo.core.settings import Settings

__all__ = ["QualitySettings", "Rule"]

Rule = Literal["basic", "links", "gopher_repetition", "gopher_quality", "c4", "fineweb"]


class QualitySettings(Settings):
    """Which rules a document has to pass; program code has to pass the basic ones only.

    Rules are applied in the order of `Rule`, whatever the order here: "c4" and "links" take lines out, and what comes after
    judges what they leave.
    """

    rules: tuple[Rule, ...] = ("basic",)
    """Rules by name; empty for none."""
    min_words: int = Field(default=50, ge=1)
    """Fewest words of a document (gopher_quality); in Chinese, eight characters count as five words."""
    min_sentences: int = Field(default=3, ge=0)
    """Fewest sentences of what c4 leaves of a document."""
    terminal_punctuation: bool = True
    """Whether c4 takes out lines that do not end as a sentence does: headings and menus, but also verse and tables."""
    max_navigation_share: float = Field(default=0.5, ge=0, le=1)
    """Largest share of a document, in characters, that "links" may take out; beyond, the document is dropped."""
