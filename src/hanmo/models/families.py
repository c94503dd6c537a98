"""Every family by the name that its `config.json` has under "model_type"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.core.settings import Settings
from hanmo.models.causal_lm import CausalLM
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama
from hanmo.models.weights import gpt2 as gpt2_weights
from hanmo.models.weights import llama as llama_weights
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILIES", "Family", "family_of"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """What there is to know about a family."""

    model_type: str
    """Its name in config.json."""
    architecture: str
    """The class that `transformers` loads it with."""
    config: type[Settings]
    """Its settings."""
    build: Callable[[Any], CausalLM]
    """From settings to a model with fresh weights."""
    keys: ConfigKeys
    """Names of its settings in config.json."""
    rules: Callable[[Any], list[Rule]]
    """Names of its tensors, given the settings."""
    canonical: Callable[[str], str | None]
    """From a tensor's name in a file to the one in `rules`; None for a tensor that carries nothing."""


FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        model_type="gpt2",
        architecture="GPT2LMHeadModel",
        config=GPT2Config,
        build=gpt2,
        keys=gpt2_weights.KEYS,
        rules=gpt2_weights.rules,
        canonical=gpt2_weights.canonical,
    ),
    "llama": Family(
        model_type="llama",
        architecture="LlamaForCausalLM",
        config=LlamaConfig,
        build=llama,
        keys=llama_weights.KEYS,
        rules=llama_weights.rules,
        canonical=llama_weights.canonical,
    ),
}


def family_of(config: object) -> Family:
    """The family that these settings belong to.

    Raises:
        ConfigError: if there is none.
    """
    for family in FAMILIES.values():
        if type(config) is family.config:
            return family
    raise ConfigError(
        f"{type(config).__name__} are the settings of no known family", remedy=f"Known: {', '.join(FAMILIES)}."
    )
