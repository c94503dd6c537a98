"""How each kind of adapter is called in a PEFT directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.models.adapter_settings import (
    AdapterSettings,
    BottleneckSettings,
    IA3Settings,
    LoraSettings,
    PrefixSettings,
    PromptSettings,
)
from hanmo.models.adapter_sites import Site
from hanmo.models.weights.config_keys import words
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt

__all__ = ["KINDS", "AdapterKind", "Placed"]


@dataclass(frozen=True)
class Placed:
    """What is written: where an adapter went, and what it is there."""

    sites: Sequence[Site]
    parts: Sequence[nn.Module]
    base: str | None
    """Folder or repository of its model."""


@dataclass(frozen=True, kw_only=True)
class AdapterKind:
    """One `peft_type`."""

    settings: type[AdapterSettings]
    tensors: Mapping[str, str]
    """End of a tensor's name there → attribute of our part."""
    keys: Mapping[str, str]
    """Key of adapter_config.json → our setting."""
    harmless: frozenset[str]
    """Keys that say how it was begun, or where, but not what it computes."""
    unfold: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]
    """Our settings so far and all values there → our settings."""
    fold: Callable[[Any, Placed], dict[str, Any]] = lambda _, __: {}
    """Our settings and its places → further values there."""
    take: Callable[[dict[str, Tensor], Mapping[str, Any]], dict[str, Tensor]] = lambda tensors, _: tensors
    """Tensors and all values there → those of the tensors that are of use."""
    prefix: str = "base_model.model."
    """What names of the model's tensors begin with."""

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Our settings."""
        found = {ours: values[theirs] for theirs, ours in self.keys.items() if values.get(theirs) is not None}
        found["save"] = tuple(dict.fromkeys(values.get("modules_to_save") or ()))
        return self.unfold(found, values)

    def write(self, settings: AdapterSettings, placed: Placed) -> dict[str, Any]:
        """The values there."""
        ours = settings.model_dump(mode="json")
        return {theirs: ours[name] for theirs, name in self.keys.items()} | self.fold(settings, placed)


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


def _fold_lora(_: LoraSettings, placed: Placed) -> dict[str, Any]:
    return {"bias": "none", "fan_in_fan_out": any(site.transposed for site in placed.sites), "init_lora_weights": True}


def _fold_prompt(settings: PromptSettings, placed: Placed) -> dict[str, Any]:
    part = placed.parts[0]
    assert isinstance(part, SoftPrompt)
    of_text = settings.text is not None and placed.base is not None
    start = {"prompt_tuning_init": "TEXT", "tokenizer_name_or_path": placed.base} if of_text else {}
    # in models with two stacks, too, only the encoder has one
    shape = {"token_dim": part.vectors.shape[1], "num_transformer_submodules": 1}
    return {"prompt_tuning_init": "RANDOM", "tokenizer_name_or_path": None} | start | shape


def _take_prompt(tensors: dict[str, Tensor], values: Mapping[str, Any]) -> dict[str, Tensor]:
    """`peft` writes as many rows again for a decoder, which it never reads."""
    n, given = values.get("num_virtual_tokens"), tensors.get("prompt_embeddings")
    if given is None or values.get("num_transformer_submodules") != 2 or len(given) != 2 * (n or 0):
        return tensors
    return tensors | {"prompt_embeddings": given[:n]}


def _fold_prefix(_: PrefixSettings, placed: Placed) -> dict[str, Any]:
    part = placed.parts[0]
    assert isinstance(part, Prefix)
    return {
        "token_dim": part.n_heads * part.d_head,
        "num_attention_heads": part.n_heads,
        "num_layers": part.n_layers,
        "num_transformer_submodules": 2 if part.of_decoder else 1,
        "encoder_hidden_size": part.n_heads * part.d_head,
        "prefix_projection": False,
    }


_HARMLESS_LORA = words(
    """
    fan_in_fan_out init_lora_weights exclude_modules layers_to_transform layers_pattern megatron_core qalora_group_size
    runtime_config eva_config
    """
)
"""Which layers were chosen is seen in the file; the others name a start, or settings of what is not used."""
_SHAPE = words("token_dim num_layers num_attention_heads num_transformer_submodules")
"""Of virtual tokens: seen in the file and in the model."""
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
        fold=lambda _, placed: {"fan_in_fan_out": any(site.transposed for site in placed.sites)},
    ),
    # which `peft` does not have
    "HANMO_BOTTLENECK": AdapterKind(
        settings=BottleneckSettings,
        tensors={"down.weight": "down", "down.bias": "down_bias", "up.weight": "up", "up.bias": "up_bias"},
        keys={"size": "size", "activation": "activation", "dropout": "dropout", "places": "places"},
        harmless=frozenset(),
        unfold=lambda found, _: found | {"method": "bottleneck"},
    ),
    # they have no places: their one tensor is called by its name alone
    "PROMPT_TUNING": AdapterKind(
        settings=PromptSettings,
        tensors={"prompt_embeddings": "vectors"},
        keys={"num_virtual_tokens": "n_tokens", "prompt_tuning_init_text": "text"},
        harmless=_SHAPE | {"prompt_tuning_init", "tokenizer_name_or_path", "tokenizer_kwargs"},
        unfold=lambda found, _: found | {"method": "prompt"},
        fold=_fold_prompt,
        take=_take_prompt,
        prefix="base_model.",
    ),
    "PREFIX_TUNING": AdapterKind(
        settings=PrefixSettings,
        tensors={"prompt_embeddings": "vectors"},
        keys={"num_virtual_tokens": "n_tokens"},
        # the file has what came of the projection, if there was one
        harmless=_SHAPE | {"encoder_hidden_size", "prefix_projection", "init_weights"},
        unfold=lambda found, _: found | {"method": "prefix"},
        fold=_fold_prefix,
        prefix="base_model.",
    ),
}
"""By their `peft_type`."""
