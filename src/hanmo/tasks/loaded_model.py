"""A model with its tokenizer. `hanmo.load` returns it for one that writes no text: an encoder, a classifier, two towers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.adapters import AdapterSet, adapters_of
from hanmo.models.directory import write_model
from hanmo.tasks.adapted import attach_adapter, save_adapter
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["LoadedModel"]


class LoadedModel:
    """A torch module and the tokenizer that belongs to it."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer | None, *, where: object = None):
        """Args:
        model: `loaded.model(input_ids=…)` takes and returns the names that `transformers` uses.
        tokenizer: its tokenizer; None for a model that reads no text.
        where: what errors name.

        Raises:
            ModelError: if the tokenizer has tokens that the model does not know.
        """
        self.model, self.tokenizer = model, tokenizer
        rows = getattr(self.config, "vocab_size", None)
        if tokenizer is not None and rows is not None and tokenizer.vocab_size > rows:
            raise ModelError(
                f"this tokenizer belongs to another model: it has {tokenizer.vocab_size} tokens, the model {rows}",
                where=where,
                remedy="Put the tokenizer files that the model was trained with beside it.",
            )

    @property
    def config(self) -> Any:
        """Settings of the model (its family's config)."""
        return self.model.config

    @property
    def fill_id(self) -> int:
        """What fills up rows: the id that the model takes for padding, since a head that looks for the last token goes by
        it; else the tokenizer's; 0 where neither has one."""
        known = (getattr(self.config, "pad_id", None), None if self.tokenizer is None else self.tokenizer.pad_id, 0)
        return next(number for number in known if number is not None)

    def __repr__(self) -> str:
        n = sum(parameter.numel() for parameter in self.model.parameters())
        return f"{type(self).__name__}({self.model.architecture}, {n:,} parameters, {self.tokenizer!r})"

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of its adapters."""
        own = adapters_of(self.model)
        return () if own is None else own.names

    def add_adapter(self, path: str | Path, name: str) -> None:
        """Read one more adapter of this model, and switch to it.

        Raises:
            ModelError: if it is missing or damaged, or belongs to another model.
        """
        attach_adapter(self._adapter_set(), path, name)

    def switch_adapter(self, name: str | None) -> None:
        """Compute with the adapter of this name; with the model as it was for None.

        Raises:
            ConfigError: if there is none of this name.
        """
        self._adapter_set().switch(name)

    def merge_adapter(self) -> None:
        """Make the active adapter part of the matrices, so that it costs nothing; `switch_adapter` takes it out again.

        Raises:
            ConfigError: if none is active.
            ModelError: if it is of a kind that cannot be merged.
        """
        self._adapter_set().merge()

    def _adapter_set(self) -> AdapterSet:
        own = adapters_of(self.model)
        if own is None:
            raise ConfigError(
                "this model was loaded without adapters", where="adapter",
                remedy="Load it with one: hanmo.load(BASE, adapter=ADAPTER).",
            )  # fmt: skip
        return own

    def save(self, path: str | Path) -> None:
        """Write a model directory that `hanmo.load` and `transformers` read; a directory of PEFT where an adapter is active
        that is not merged."""
        own = adapters_of(self.model)
        if own is not None and own.active is not None and not own.merged:
            save_adapter(path, self.model)
        else:
            write_model(path, self.model)
        if self.tokenizer is not None:
            self.tokenizer.save(path)
