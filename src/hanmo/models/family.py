"""What there is to know about a family: its settings, its classes, and the names it has in public files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule

__all__ = ["Architecture", "Family", "within"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One class of `transformers`: the family's stack with one kind of head."""

    build: Callable[[Any], nn.Module]
    """From settings to a model with fresh weights."""
    rules: Callable[[Any], list[Rule]]
    """Names of its tensors, given the settings."""
    generates: bool = False
    """Whether it writes text, so that its directory has a generation_config.json."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Everything that reading, writing and building need."""

    model_type: str
    """Its name in config.json."""
    config: type[Settings]
    """Its settings."""
    architectures: Mapping[str, Architecture]
    """By the name of the class in `transformers`; the first is taken where config.json names none."""
    keys: ConfigKeys
    """Names of its settings in config.json."""
    canonical: Callable[[str], str | None]
    """From a tensor's name in a file to its full name; None for a tensor that carries nothing. Names in `rules` go
    through it too, so that a class without a head may leave out the prefix of the others."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Full names of tensors that may repeat another (tied weights that were stored twice) → the other."""
    own_head: str | None = None
    """The one of `copies` that is an output matrix of its own wherever a file has another one than the token vectors,
    although its config.json says that they are tied (settings are then taken with `tie_embeddings` False)."""

    def architecture(self, name: str | None = None) -> Architecture:
        """The class of this name; the first if None.

        Raises:
            ConfigError: if the family has no such class.
        """
        name = next(iter(self.architectures)) if name is None else name
        if name not in self.architectures:
            raise ConfigError(
                f"{self.model_type} models have no class {name!r} here",
                where="architectures",
                remedy=f"Known: {', '.join(self.architectures)}.",
            )
        return self.architectures[name]


def within(prefix: str, rules: list[Rule]) -> list[Rule]:
    """The same rules for parameters that lie one level deeper."""
    return [replace(rule, ours=f"{prefix}.{rule.ours}") for rule in rules]
