"""A model that guesses places in any order (XLNet) with its tokenizer: continue a text. `hanmo.load` returns it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.generation.permutation import generate_by_permutation
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.model_files import seed_of, settings_of
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["PermutationModel"]


class PermutationModel(LoadedModel):
    """A `LoadedModel` that also writes."""

    def __init__(self, model: Any, tokenizer: Tokenizer, *, eos_ids: Sequence[int] = (), where: object = None):
        """Args: as there; `eos_ids` are where a text ends, the tokenizer's end-of-text token if empty."""
        super().__init__(model, tokenizer, where=where)
        own = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        self.eos_ids: tuple[int, ...] = tuple(eos_ids) or own

    def generate(self, prompt: str | Sequence[str], **settings: Any) -> Any:
        """Continue a prompt, or several.

        Args:
            prompt: one text or a list of texts, of at least one token each.
            settings: fields of `GenerationSettings`; None means the default.

        Returns:
            The continuations, without the prompts. One prompt gives a string, a list of prompts a list; with
            n > 1 each string becomes a list of n strings.

        Raises:
            ConfigError: for a setting that cannot be, or an empty prompt.
        """
        assert self.tokenizer is not None
        checked = settings_of(settings)
        if checked.stop:
            raise ConfigError("this kind of model knows no stop strings", where="stop", remedy="Leave stop out.")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        rows = [ids for ids in self.tokenizer.encode_batch(prompts) for _ in range(checked.n)]
        seeded = checked.model_copy(update={"seed": seed_of(checked)})
        written = generate_by_permutation(self.model, rows, seeded, eos_ids=self.eos_ids)
        texts = [self.tokenizer.decode(ids) for ids in written]
        groups = [texts[i : i + checked.n] for i in range(0, len(texts), checked.n)]
        result: list[Any] = groups if checked.n > 1 else [group[0] for group in groups]
        return result[0] if isinstance(prompt, str) else result

    def stream(self, prompt: str, **settings: Any) -> Iterator[str]:
        """What `generate` returns, in one piece: each token of such a model may change how earlier ones are read."""
        return iter([self.generate(prompt, **settings)])
