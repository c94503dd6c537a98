"""A model that guesses places in any order (XLNet) with its tokenizer: continue a text. `hanmo.load` returns it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.permutation import generate_by_permutation
from hanmo.tasks.writing_model import WritingModel, as_asked

__all__ = ["PermutationModel"]


class PermutationModel(WritingModel):
    """A model that reads in both directions and writes token by token all the same, with its tokenizer."""

    def generate(self, prompt: str | Sequence[str], **settings: Any) -> Any:
        """Continue a prompt, or several.

        Args:
            prompt: one text or a list of texts, of at least one token each.
            settings: fields of `GenerationSettings`; None means what generation_config.json says, else the default.

        Returns:
            The continuations, without the prompts. One prompt gives a string, a list of prompts a list; with
            n > 1 each string becomes a list of n strings.

        Raises:
            ConfigError: for a setting that cannot be, or an empty prompt.
        """
        checked = self.settings(settings)
        if isinstance(checked, BeamSettings) or checked.forbids or checked.max_length is not None:
            raise ConfigError(
                "this kind of model knows no beams, no least or whole length, and no tokens that are forbidden or forced",
                where="settings", remedy="Leave them out here and in generation_config.json.",
            )  # fmt: skip
        if checked.stop:
            raise ConfigError("this kind of model knows no stop strings", where="stop", remedy="Leave stop out.")
        if checked.form is not None:
            raise ConfigError("this kind of model keeps to no form", where="form", remedy="Leave it out.")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        rows = [ids for ids in self.tokenizer.encode_batch(prompts) for _ in range(checked.n)]
        written = generate_by_permutation(self.model, rows, checked, eos_ids=self.eos_ids)
        texts = [self.tokenizer.decode(ids) for ids in written]
        return as_asked(texts, checked.n, single=isinstance(prompt, str))

    def stream(self, prompt: str, **settings: Any) -> Iterator[str]:
        """What `generate` returns, in one piece: each token of such a model may change how earlier ones are read."""
        return iter([self.generate(prompt, **settings)])
