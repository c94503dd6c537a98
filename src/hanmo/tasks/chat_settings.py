"""How conversations become rows of ids."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings
from hanmo.tokenizers.default_templates import DEFAULT_TEMPLATES

__all__ = ["ChatSettings"]


class ChatSettings(Settings):
    """Template, length and packing."""

    template: str | None = None
    """"chatml", "plain", or a file with a Jinja template that marks by {% generation %} what the assistant writes. If None,
    that of the checkpoint; where it has none, chatml if its tokenizer has the tokens for it, else plain."""
    max_len: int | None = Field(default=None, ge=8)
    """Longest conversation and longest row, in tokens; that of the model if None."""
    overlong: Literal["error", "drop", "truncate", "split"] = "error"
    """What to do with longer conversations: refuse; leave out; cut off the end; or cut between an answer and the next
    question, the system message before each part (a question that is too long with its answer alone is left out)."""
    packed: bool = True
    """Several conversations to a row, which do not see each other."""

    @field_validator("template")
    @classmethod
    def _template_is_known(cls, template: str | None) -> str | None:
        return template if template is None or template in DEFAULT_TEMPLATES else existing_path(template)
