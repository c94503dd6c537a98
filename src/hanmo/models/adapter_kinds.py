"""How each kind of adapter is called in a PEFT directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.models.adapter_settings import AdapterSettings, BottleneckSettings, IA3Settings, LoraSettings
from hanmo.models.adapter_sites import Site
from hanmo.models.weights.config_keys import words

__all__ = ["KINDS", "AdapterKind"]


@dataclass(frozen=True, kw_only=True)
class AdapterKind:
    """One `peft_type`."""

    settings: type[LoraSettings | IA3Settings | BottleneckSettings]
    tensors: Mapping[str, str]
    """End of a tensor's name there → attribute of our part."""
    keys: Mapping[str, str]
    """Key of adapter_config.json → our setting."""
    harmless: frozenset[str]
    """Keys that say how it was begun, or where, but not what it computes."""
    unfold: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]
    """Our settings so far and all values there → our settings."""
    fold: Callable[[Any, Sequence[Site]], dict[str, Any]]
    """Our settings and its places → further values there."""

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Our settings."""
        found = {ours: values[theirs] for theirs, ours in self.keys.items() if values.get(theirs) is not None}
        found["save"] = tuple(dict.fromkeys(values.get("modules_to_save") or ()))
        return self.unfold(found, values)

    def write(self, settings: AdapterSettings, sites: Sequence[Site]) -> dict[str, Any]:
        """The values there."""
        ours = settings.model_dump(mode="json")
        return {theirs: ours[name] for theirs, name in self.keys.items()} | self.fold(settings, sites)


def _unfold_lora(found: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    start = values.get("init_lora_weights", True)
    changed = [name for name in _CHANGE_THE_BASE if isinstance(start, str) and start.lower().startswith(name)]
    if changed:
        raise ConfigError(
            f"init_lora_weights = {start!r} changes the base, so that the adapter fits no other",
            where="init_lora_weights",
            remedy="Convert it to a plain LoRA where it was trained (path_initial_model_for_weight_conversion).",
        )
    return found


def _fold_lora(settings: LoraSettings, sites: Sequence[Site]) -> dict[str, Any]:
    return {"bias": "none", "fan_in_fan_out": any(site.transposed for site in sites), "init_lora_weights": True}


_HARMLESS_LORA = words(
    """
    fan_in_fan_out init_lora_weights exclude_modules layers_to_transform layers_pattern megatron_core qalora_group_size
    runtime_config eva_config
    """
)
"""Which layers were chosen is seen in the file; the others name a start, or settings of what is not used."""
_CHANGE_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")

KINDS: dict[str, AdapterKind] = {
    "LORA": AdapterKind(
        settings=LoraSettings,
        tensors={"lora_A.weight": "a", "lora_B.weight": "b", "lora_magnitude_vector": "magnitude"},
        keys={
            "r": "rank",
            "lora_alpha": "alpha",
            "lora_dropout": "dropout",
            "use_rslora": "rslora",
            "use_dora": "dora",
            "target_modules": "targets",
            "rank_pattern": "ranks",
            "alpha_pattern": "alphas",
        },
        harmless=_HARMLESS_LORA,
        unfold=_unfold_lora,
        fold=_fold_lora,
    ),
    "IA3": AdapterKind(
        settings=IA3Settings,
        tensors={"ia3_l": "factors"},
        keys={"target_modules": "targets", "feedforward_modules": "inputs"},
        harmless=frozenset({"fan_in_fan_out", "init_ia3_weights", "exclude_modules"}),
        unfold=lambda found, _: found | {"method": "ia3"},
        fold=lambda _, sites: {"fan_in_fan_out": any(site.transposed for site in sites)},
    ),
    # which `peft` does not have
    "HANMO_BOTTLENECK": AdapterKind(
        settings=BottleneckSettings,
        tensors={"down.weight": "down", "down.bias": "down_bias", "up.weight": "up", "up.bias": "up_bias"},
        keys={"size": "size", "activation": "activation", "dropout": "dropout", "places": "places"},
        harmless=frozenset(),
        unfold=lambda found, _: found | {"method": "bottleneck"},
        fold=lambda _, __: {},
    ),
}
"""By their `peft_type`."""
