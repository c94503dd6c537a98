"""A file of prompts to a file of texts: what `predict_file` asks of a model that writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.writing_model import WritingModel

__all__ = ["PromptWriter"]

_OWN = ("form", "stop", "max_new_tokens", "temperature")
"""Settings that a prompt may bring for itself."""


class PromptWriter(Pipeline):
    """Writes for each prompt. What comes of one depends on it and the seed, not on its place in the file.

    Args:
        lm: a model that writes.
    """

    answer_key: ClassVar[str] = "texts"
    at_once: ClassVar[int] = 8

    def __init__(self, lm: WritingModel):
        self._lm: Any = lm

    def read(self, item: Any) -> Any:
        """A string; or an object with `prompt` (or `text`), and settings of its own: form, stop, max_new_tokens, temperature.

        Returns:
            (prompt, own settings).

        Raises:
            DataError: if there is no prompt, or a setting cannot be.
        """
        if isinstance(item, str):
            return item, {}
        prompt = item.get("prompt", item.get("text")) if isinstance(item, Mapping) else None
        if not isinstance(prompt, str):
            raise DataError(f"{str(item)[:60]!r} is no prompt", where="inputs", remedy='Give {"prompt": …}.')
        return prompt, {name: item[name] for name in _OWN if name in item}

    def answers(self, items: list[Any], *, seed: int = 0, **options: Any) -> list[Any]:
        """The texts of each prompt: a list of `n`.

        Raises:
            DataError: for a prompt that the settings cannot be met for, such as one that does not begin the form.
        """
        found = []
        for prompt, own in items:
            mixed = int.from_bytes(hashlib.sha256(f"{seed} {prompt}".encode()).digest()[:7])
            try:
                texts = self._lm.generate(prompt, seed=mixed, **options | own)
            except ConfigError as error:
                raise DataError(str(error), where="prompt", remedy=error.remedy) from error
            found.append([texts] if isinstance(texts, str) else texts)
        return found
