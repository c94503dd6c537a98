"""A decoder that was trained to write a text for a text: it goes on from the source and a prompt (Radford et al., 2019, §3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from hanmo.batches.by_length import batches_by_length
from hanmo.batches.packed_rows import next_token_row
from hanmo.generation.beam import BeamSettings
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.text2text import Text2Text, fast_products

__all__ = ["PromptedModel"]

_POSITIONS_AT_ONCE = 4096
"""Positions of prompts, of all beams, whose keys and values are held together."""


class PromptedModel(Text2Text, LanguageModel):
    """See above. What it learns is one text: source, prompt, target, end."""

    @property
    def head(self) -> list[int]:
        """The begin of a text, where the model wants one."""
        return [self.start_id()] if self._adds_bos else []

    @property
    def tail(self) -> list[int]:
        """The prompt. Blanks at its end belong to the first word behind it, as tokenizers cut."""
        return self._prompt

    @cached_property
    def _prompt(self) -> list[int]:
        return self.tokenizer.encode(self.purpose.prompt.rstrip(" "))

    @property
    def max_source(self) -> int | None:
        """The context without what is left free for the text."""
        return self.config.max_len - self.purpose.room

    def max_target(self, n_source: int) -> int | None:
        """What the source leaves of the context."""
        return self.config.max_len - n_source

    def target_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """As there."""
        prompt = self.purpose.prompt
        blanks, end = prompt[len(prompt.rstrip(" ")) :], list(self.eos_ids[:1])
        return [ids + end for ids in self.tokenizer.encode_batch([blanks + target for target in targets])]

    def learned_row(self, source: Sequence[int], target: Sequence[int]) -> dict[str, list[int]]:
        """One text; labels are next tokens, -100 for those of the source."""
        row = next_token_row([*source, *target], [False] * len(source) + [True] * len(target))
        del row["position_ids"]  # one text alone counts from 0 without being told
        return row

    def write(self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings) -> list[list[str]]:
        """As there."""
        self.check_rows(rows)
        written: list[list[str]] = [[] for _ in rows]
        searches = isinstance(settings, BeamSettings)
        if not searches and settings.temperature > 0:  # what is drawn for a row goes by its number
            batches = [list(range(len(rows)))]
        else:
            at_once = max(1, _POSITIONS_AT_ONCE // (settings.num_beams if searches else 1))
            batches = batches_by_length([len(row) for row in rows], max_tokens=at_once)
        with fast_products(self.model.head_weight.device):
            for batch in batches:
                texts = self.texts([list(rows[row]) for row in batch], settings)
                for place, row in enumerate(batch):
                    several = texts[place * settings.n : (place + 1) * settings.n]
                    written[row] = [text.strip() for text in several]
        return written

    def glance(self, rows: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[str]:
        """As there."""
        return [found[0] for found in self.write(rows, GenerationSettings(max_new_tokens=max_new_tokens))]
