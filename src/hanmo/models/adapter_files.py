"""An adapter as a PEFT directory: adapter_config.json and adapter_model.safetensors, names as `peft` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError, FormatError, ModelError
from hanmo.core.files import read_json, sha256_file, sha256_text, write_json
from hanmo.core.settings import check_settings
from hanmo.models.adapter_kinds import KINDS, AdapterKind, Placed
from hanmo.models.adapter_settings import AdapterSettings, PrefixSettings, PromptSettings
from hanmo.models.adapter_sites import model_rules
from hanmo.models.adapters import Adapter, AdapterSet
from hanmo.models.weight_files import (
    StoredTensor,
    check_tensors,
    list_tensors,
    read_header_entries,
    read_tensors,
    weight_files,
    write_tensors,
)

__all__ = [
    "ADAPTER_CONFIG",
    "adapter_tensors",
    "base_hash",
    "describe_adapter",
    "read_adapter",
    "read_adapter_config",
    "write_adapter",
]

ADAPTER_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BASE_KEY = "base_sha256"
"""Entry of the header of the weights' file: what the adapter was trained on."""
_ABOUT = {
    "peft_type", "task_type", "base_model_name_or_path", "revision", "inference_mode", "modules_to_save", "peft_version",
    "auto_mapping",
}  # fmt: skip
"""Keys that every kind of adapter has."""


def base_hash(folder: Path) -> str:
    """What stands for the weights of a model directory: SHA-256 over those of its files."""
    return sha256_text("".join(f"{file.name} {sha256_file(file)}\n" for file in weight_files(folder)))


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """The settings of a PEFT directory as they are written there.

    Raises:
        ModelError: if they are missing, damaged, or of a kind that is not supported.
    """
    file = folder / ADAPTER_CONFIG
    try:
        values = read_json(file)
    except FileNotFoundError as error:
        raise ModelError("this file is missing", where=file, remedy="Give the folder of a whole adapter.") from error
    except (OSError, FormatError) as error:
        raise ModelError(f"cannot read this file ({error})", where=file) from error
    kind = values.get("peft_type") if isinstance(values, dict) else None
    if not isinstance(values, dict) or kind not in KINDS:
        raise ModelError(f"peft_type {kind!r} is not supported", where=file, remedy=f"Supported: {', '.join(KINDS)}.")
    return values


def read_adapter(adapters: AdapterSet, folder: str | Path, name: str = "default") -> Adapter:
    """Read a PEFT directory onto a model, and switch to it.

    Args:
        adapters: of the model that it was trained on; where its hash is known, it must be the one that the file names,
            if that names one (other programs do not).
        folder: the directory.
        name: what to call it.

    Raises:
        ModelError: if a file is missing or damaged, or was made for another model; names what does not fit.
        ConfigError: if the name is taken.
    """
    folder = Path(folder)
    values = read_adapter_config(folder)
    kind = KINDS[values["peft_type"]]
    file = folder / ADAPTER_CONFIG
    unknown = {
        key: value
        for key, value in values.items()
        if key not in _ABOUT | kind.keys.keys() | kind.harmless and value not in (None, False, {}, [], "none")
    }
    if unknown:
        raise ModelError(
            f"settings that are not supported: {', '.join(f'{key} = {value!r}' for key, value in unknown.items())}",
            where=file,
        )
    try:
        settings = check_settings(kind.settings, kind.read(values))
    except ConfigError as error:
        raise ModelError(f"settings that cannot work ({error})", where=file) from error
    stored = list_tensors(folder, name=_WEIGHTS)
    told = read_header_entries(folder / _WEIGHTS)
    base = adapters.base_hash
    if base is not None and told.get(_BASE_KEY, base) != base:
        raise ModelError(
            f"this adapter was trained on another model than this one (base {told[_BASE_KEY][:12]}…, here {base[:12]}…)",
            where=folder,
            remedy=f"Load it with its own base, {values.get('base_model_name_or_path')!r}.",
        )
    tensors = kind.take(read_tensors(stored), values)
    adapter = _fill(adapters, kind, settings, stored, tensors, folder / _WEIGHTS)
    adapter = adapters.put(name, adapter)
    for parameter in adapter.trained():
        parameter.requires_grad_(False)
    return adapter


def write_adapter(
    folder: str | Path,
    adapters: AdapterSet,
    name: str,
    *,
    task_type: str | None = None,
) -> None:
    """Write an adapter as `peft` does.

    Args:
        folder: made if needed; other files in it stay.
        adapters: the set that has it.
        name: which one.
        task_type: PEFT's name of the task, "SEQ_CLS" or another.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    folder, adapter = Path(folder), adapters[name]
    kind = next(kind for kind in KINDS.values() if type(adapter.settings) is kind.settings)
    sites = [adapters.sites[site] for site in adapter.parts if site in adapters.sites]
    values = kind.write(adapter.settings, Placed(sites, list(adapter.parts.values()), adapters.base_name))
    about = {
        "peft_type": next(key for key, value in KINDS.items() if value is kind),
        "task_type": task_type,
        "base_model_name_or_path": adapters.base_name,
        "revision": None,
        "inference_mode": True,
        "modules_to_save": list(adapter.settings.save) or None,
        "auto_mapping": None,
    }
    told = {} if adapters.base_hash is None else {_BASE_KEY: adapters.base_hash}
    write_tensors(folder / _WEIGHTS, adapter_tensors(adapter, kind), told=told)
    write_json(folder / ADAPTER_CONFIG, about | values)


def describe_adapter(folder: str | Path) -> dict[str, Any]:
    """What an adapter is, from its own files.

    Raises:
        ModelError: if they are missing or damaged.
    """
    folder = Path(folder)
    values = read_adapter_config(folder)
    kind = KINDS[values["peft_type"]]
    stored = list_tensors(folder, name=_WEIGHTS)
    places, rest = _sorted_out(kind, [tensor.name for tensor in stored])
    whole = {name.rpartition(".")[0] for name in rest}
    settings = check_settings(kind.settings, kind.read(values)).model_dump(mode="json", exclude_defaults=True)
    return {
        "kind": values["peft_type"],
        "base": values.get("base_model_name_or_path"),
        "base_sha256": read_header_entries(folder / _WEIGHTS).get(_BASE_KEY),
        "settings": [f"{key} = {value}" for key, value in settings.items() if key not in ("save", "targets", "method")],
        "layers": len([place for place in places if place]),
        "places": sorted({re.sub(r"\d+", "N", place) for place in places if place}),
        "whole": sorted(whole),
        "parameters": sum(prod(tensor.shape) for tensor in stored),
        "bytes": (folder / _WEIGHTS).stat().st_size,
    }


def adapter_tensors(adapter: Adapter, kind: AdapterKind) -> dict[str, Tensor]:
    """Everything that an adapter adds, by its names in the file."""
    tensors = {
        (f"{kind.prefix}{site}.{theirs}" if site else theirs): getattr(part, ours)
        for site, part in adapter.parts.items()
        for theirs, ours in kind.tensors.items()
        if getattr(part, ours) is not None
    }
    for rule in adapter.rules:
        tensors |= {f"{kind.prefix}{name}": part for name, part in rule.scatter(adapter.parameters[rule.ours])}
    return tensors


def _fill(
    adapters: AdapterSet,
    kind: AdapterKind,
    settings: AdapterSettings,
    stored: list[StoredTensor],
    tensors: dict[str, Tensor],
    file: Path,
) -> Adapter:
    """An adapter with places where the file has tensors, and their values."""
    places, rest = _sorted_out(kind, tensors)
    strange = [name for name in sorted(places) if name and name not in adapters.sites]
    if strange:
        raise ModelError(
            f"this adapter changes layers that this model does not have, or that cannot be changed: {', '.join(strange[:5])}",
            where=file,
            remedy="Check that it belongs to this model, and to this class of it.",
        )
    if not places:
        raise ModelError("this file holds no adapter of the kind that adapter_config.json names", where=file)
    chosen = [site for name, site in adapters.sites.items() if name in places]
    try:
        rules = [rule for rule in model_rules(adapters.model) if any(name in rest for name in rule.theirs)]
        if isinstance(settings, (PromptSettings, PrefixSettings)):
            adapter = adapters.make_virtual(settings, rules)
        else:
            adapter = adapters.make(settings, chosen, rules)
    except ConfigError as error:
        raise ModelError(error.what, where=file, remedy=error.remedy) from error
    expected = {name.removeprefix(kind.prefix): tensor for name, tensor in adapter_tensors(adapter, kind).items()}
    given: dict[str, StoredTensor] = {}
    problems: list[str] = []
    for one in stored:
        name = one.name.removeprefix(kind.prefix)
        if name in given:
            problems.append(f"{name} is there twice")
        given[name] = replace(one, shape=tuple(tensors[one.name].shape))
    check_tensors(
        given, {name: tuple(tensor.shape) for name, tensor in expected.items()}, what="this adapter does not fit the model",
        where=file, remedy="Check that both files are whole, and that it was trained on this model.",
        known=problems,
    )  # fmt: skip
    with torch.no_grad():
        for name, one in given.items():
            expected[name].copy_(tensors[one.name].view(expected[name].shape))
    return adapter


def _sorted_out(kind: AdapterKind, names: Iterable[str]) -> tuple[set[str], set[str]]:
    """Places of the parts of an adapter, and names in the model of what is whole."""
    places: set[str] = set()
    rest: set[str] = set()
    for full in names:
        name = full.removeprefix(kind.prefix)
        end = next((end for end in kind.tensors if name == end or name.endswith(f".{end}")), None)
        if end is None:
            rest.add(name)
        else:
            places.add(name.removesuffix(end).removesuffix("."))
    return places, rest
