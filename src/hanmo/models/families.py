"""Every family by the name that its `config.json` has under "model_type"."""

from __future__ import annotations

from hanmo.core.errors import ConfigError
from hanmo.models.family import Family
from hanmo.models.weights import bert, gpt2, llama

__all__ = ["FAMILIES", "family_of"]

FAMILIES: dict[str, Family] = {
    "bert": bert.FAMILY,
    "gpt2": gpt2.FAMILY,
    "llama": llama.FAMILY,
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
