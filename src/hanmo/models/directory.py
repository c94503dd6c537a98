"""A model as a Hugging Face directory: config.json, generation_config.json, model.safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError, FormatError, ModelError
from hanmo.core.files import read_json, write_json
from hanmo.core.progress import say
from hanmo.core.settings import Settings, check_settings
from hanmo.models.families import FAMILIES, family_of
from hanmo.models.family import Architecture, Family
from hanmo.models.hub import find_model
from hanmo.models.weight_files import StoredTensor, check_tensors, list_tensors, read_tensors, write_tensors
from hanmo.models.weights.mapping import Rule
from hanmo.nn.init import draw

__all__ = ["read_config", "read_eos_ids", "read_model", "read_plan", "write_config", "write_model"]

_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_MAY_START_FRESH = ("head.", "backbone.pooler.", "pooler.")
"""Parameters that a checkpoint with another head need not have."""


@dataclass(frozen=True)
class _Found:
    family: Family
    settings: Any
    architecture: str


def read_config(path: str | Path) -> Settings:
    """Read `config.json` of a model directory (or that file, or a repository) into its family's settings.

    Raises:
        ModelError: if it is missing or damaged, of no known family, or has settings that are not supported.
    """
    return _read_config(find_model(path, weights=False)).settings


def read_plan(path: str | Path) -> Any:
    """The model that `config.json` describes, on the meta device: all its parts and shapes, no numbers.

    Raises:
        ModelError: as `read_config`, or if the class that it names is not supported.
    """
    folder = find_model(path, weights=False)
    found = _read_config(folder)
    try:
        chosen = found.family.architecture(found.architecture)
    except ConfigError as error:
        raise ModelError(error.what, where=folder, remedy=error.remedy) from error
    with torch.device("meta"):
        return chosen.build(found.settings).eval()


def read_model(
    path: str | Path,
    *,
    architecture: str | None = None,
    changes: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
) -> Any:
    """Read a model directory, in evaluation mode.

    Each tensor is copied out of the mapped file and let go, so that the peak of memory is the model itself.

    Args:
        path: folder with config.json and model.safetensors (or its shards with their index), or the name of a
            repository of the Hugging Face hub, "org/name" or "org/name@revision" (see `hanmo.models.hub`).
        architecture: another class of the same family than the one that was stored, for instance
            "BertForTokenClassification" for a checkpoint of BertForMaskedLM: the stack is read, a head (or pooler)
            that the file lacks starts fresh, and one that the model lacks stays in the file; both are said.
        changes: settings to put in the place of those in config.json, such as `labels`.
        dtype: what to convert the weights to; None keeps that of the file.
        device: where to put them.

    Returns:
        A `torch.nn.Module`: `CausalLM`, `Encoder`, `HeadedModel` or whatever the class calls for.

    Raises:
        ModelError: names what is missing, damaged, of the wrong shape or left over.
    """
    path = find_model(path)
    if not path.is_dir():
        raise ModelError("this is a file, not a model directory", where=path, remedy="Give the folder it is in.")
    found = _with_own_head(path, _read_config(path))
    family = found.family
    settings: Any = found.settings
    try:
        if changes:
            settings = check_settings(family.config, settings.model_dump() | dict(changes))
        chosen = family.architecture(architecture or found.architecture)
    except ConfigError as error:
        raise ModelError(error.what, where=path, remedy=error.remedy) from error
    with torch.device("meta"):
        model = chosen.build(settings)
    # other labels mean another head, although the class may be the same
    other_head = architecture not in (None, found.architecture) or settings != found.settings
    rules, fresh, stored = _match(path, family, chosen, model, settings, other_head=other_head)
    for rule in fresh:
        _start_fresh(model, rule.ours, settings.init_std, dtype, device)
    for rule in rules:
        tensors = {name: stored[name] for name in (family.canonical(part) or part for part in rule.theirs)}
        read = read_tensors(tensors.values())
        parts = {part: read[stored[family.canonical(part) or part].name] for part in rule.theirs}
        ours = model.get_parameter(rule.ours)
        filled = torch.empty(ours.shape, dtype=dtype or next(iter(parts.values())).dtype, device=device)
        rule.gather(parts, filled)
        _put(model, rule.ours, filled)
    return model.eval()


def write_model(path: str | Path, model: Any, *, dtype: torch.dtype | None = None) -> None:
    """Write a directory that `transformers` and its kin load. Each file appears whole or not at all.

    Args:
        path: folder, made if needed; other files in it stay.
        model: of a known family.
        dtype: of the stored weights; the model's own if None.

    Raises:
        ModelError: if matrices are not there as they are stored.
        StorageError: if the disk is full or may not be written.
    """
    path, config = Path(path), model.config
    assert isinstance(config, Settings)
    family = family_of(config)
    kind_of_model = family.architecture(model.architecture)
    rules = kind_of_model.rules(config)
    parameters = dict(model.named_parameters())
    if any(rule.ours not in parameters for rule in rules):
        raise ModelError(
            "some matrices of this model are held in few bits, or in an adapter that is active", where=path,
            remedy="Load the model as it is stored, merge the adapter into it, and write that.",
        )  # fmt: skip
    tensors = {name: part for rule in rules for name, part in rule.scatter(parameters[rule.ours])}
    tensors |= {rule.twin: parameters[rule.ours] for rule in rules if rule.twin is not None}
    kind = dtype or next(iter(parameters.values())).dtype
    write_tensors(path / "model.safetensors", tensors, dtype=dtype)
    write_config(path, model, dtype=kind)


def write_config(path: str | Path, model: Any, *, dtype: torch.dtype = torch.float32) -> None:
    """Write what tells how a model is built, without its weights: config.json, and generation_config.json where it writes.

    Args:
        path: folder, made if needed.
        model: of a known family.
        dtype: that of its stored weights.
    """
    path, config = Path(path), model.config
    family = family_of(config)
    kind_of_model = family.architecture(model.architecture)
    keys = family.keys.write(config.model_dump())
    ids = {key: keys[key] for key in _TOKEN_IDS if key in keys}
    if kind_of_model.generates:
        write_json(path / "generation_config.json", {"_from_model_config": True, **ids})
    head = {
        "architectures": [model.architecture],
        "model_type": family.model_type,
        "dtype": str(dtype).removeprefix("torch."),
    }
    write_json(path / "config.json", head | keys)


def read_eos_ids(path: str | Path) -> tuple[int, ...]:
    """Ids that end a generated text: those of generation_config.json, else of config.json.

    Raises:
        ModelError: if a file is damaged.
    """
    for name in ("generation_config.json", "config.json"):
        file = Path(path) / name
        if not file.exists():
            continue
        value = _read_object(file).get("eos_token_id")
        if value is None:
            continue
        ids: list[Any] = value if isinstance(value, list) else [value]
        if not all(isinstance(item, int) and item >= 0 for item in ids):
            raise ModelError(f"eos_token_id = {value!r} is no token id", where=file)
        return tuple(ids)
    return ()


def _read_object(file: Path) -> dict[str, Any]:
    try:
        values = read_json(file)
    except FileNotFoundError as error:
        raise ModelError("this file is missing", where=file, remedy="Give the folder of a whole model.") from error
    except OSError as error:
        raise ModelError(f"cannot read this file ({error.strerror})", where=file) from error
    except FormatError as error:
        raise ModelError(error.what, where=error.where, remedy="Copy or download the model again.") from error
    if not isinstance(values, dict):
        raise ModelError("not a JSON object", where=file)
    return values


def _read_config(path: Path) -> _Found:
    file = path if path.name.endswith(".json") else path / "config.json"
    values = _read_object(file)
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ModelError(
            f"model_type {model_type!r} is not supported", where=file, remedy=f"Supported: {', '.join(FAMILIES)}."
        )
    family = FAMILIES[model_type]
    names = values.get("architectures") or [next(iter(family.architectures))]
    if not isinstance(names, list) or not isinstance(names[0], str):
        raise ModelError(f"architectures = {names!r} is not a list of names", where=file)
    try:
        return _Found(family, check_settings(family.config, family.keys.read(values, file)), names[0])
    except ConfigError as error:
        raise ModelError(f"settings that cannot work ({error})", where=file) from error


def _with_own_head(path: Path, found: _Found) -> _Found:
    """The settings untied, if the file says so by what it holds."""
    name = found.family.own_head
    if name is None or not found.settings.tie_embeddings:
        return found
    stored = {found.family.canonical(tensor.name): tensor for tensor in list_tensors(path)}
    head, tokens = stored.get(name), stored.get(found.family.copies[name])
    if head is None or tokens is None or _equal(head, tokens):
        return found
    return replace(found, settings=found.settings.model_copy(update={"tie_embeddings": False}))


def _match(
    path: Path, family: Family, chosen: Architecture, model: nn.Module, settings: Any, *, other_head: bool
) -> tuple[list[Rule], list[Rule], dict[str, StoredTensor]]:
    """Compare headers with what the settings ask for, before any weight is read.

    Returns:
        The rules whose tensors are there, those whose parameters start fresh, and the tensors by their full names.
    """
    stored: dict[str, StoredTensor] = {}
    problems: list[str] = []
    for tensor in list_tensors(path):
        name = family.canonical(tensor.name)
        if name is None:
            continue
        if name in stored:
            problems.append(f"{name} is there twice")
        stored[name] = tensor
    rules: list[Rule] = list(chosen.rules(settings))
    fresh: list[Rule] = []
    expected: dict[str, tuple[int, ...]] = {}
    for rule in rules:
        shapes = rule.shapes(model.get_parameter(rule.ours).shape)
        expected |= {family.canonical(name) or name: shape for name, shape in shapes.items()}
    elsewhere = _names_of_other_classes(family, settings) if stored.keys() - expected.keys() else set()
    problems += _settle_copies(family, stored, expected, elsewhere)
    for rule in rules:
        if rule.twin in stored:
            stored.setdefault(rule.theirs[0], stored.pop(rule.twin))
    # public files carry heads and poolers that the class they name has no use for
    unused = sorted(name for name in stored if name not in expected and (other_head or name in elsewhere))
    for name in unused:
        del stored[name]
    if other_head:
        fresh = [rule for rule in rules if _is_fresh(family, rule, stored, expected)]
        rules = [rule for rule in rules if rule not in fresh]
        for rule in fresh:
            for name in rule.theirs:
                expected.pop(family.canonical(name) or name)
                stored.pop(family.canonical(name) or name, None)
    _say_what_changes(path, fresh, unused)
    check_tensors(
        stored, expected, what="weights and config.json do not fit each other", where=path,
        remedy="Check that both files come from the same model.", known=problems,
    )  # fmt: skip
    return rules, fresh, stored


def _is_fresh(
    family: Family, rule: Rule, stored: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]]
) -> bool:
    names = [family.canonical(name) or name for name in rule.theirs]
    fits = all(name in stored and stored[name].shape == expected[name] for name in names)
    return rule.ours.startswith(_MAY_START_FRESH) and not fits


def _say_what_changes(path: Path, fresh: list[Rule], unused: list[str]) -> None:
    if fresh:
        say(f"{path}: {', '.join(rule.ours for rule in fresh)} are not in the file and start fresh")
    if unused:
        say(f"{path}: {', '.join(unused[:10])}{' and more' if len(unused) > 10 else ''} are not used")


def _names_of_other_classes(family: Family, settings: Any) -> set[str]:
    names: set[str] = set()
    for architecture in family.architectures.values():
        for rule in architecture.rules(settings):
            names |= {family.canonical(name) or name for name in rule.theirs}
            names |= {rule.twin} if rule.twin is not None else set()
    return names


def _settle_copies(
    family: Family, stored: dict[str, StoredTensor], expected: Mapping[str, object], elsewhere: set[str]
) -> list[str]:
    """Drop tensors that repeat another, and take the copy where only that was stored; problems with both.

    One that another class has in its own right (not tied) is no copy.
    """
    problems = []
    for copy, original in family.copies.items():
        if copy not in stored or copy in expected or copy in elsewhere or original not in expected:
            continue
        tensor = stored.pop(copy)
        if original not in stored:
            stored[original] = tensor
        elif not _equal(tensor, stored[original]):
            problems.append(f"{copy} {tensor.shape} differs from {original}, although they are tied in config.json")
    return problems


def _equal(one: StoredTensor, two: StoredTensor) -> bool:
    if one.shape != two.shape or one.dtype != two.dtype:
        return False
    return torch.equal(read_tensors([one])[one.name], read_tensors([two])[two.name])


def _start_fresh(
    model: nn.Module, name: str, std: float, dtype: torch.dtype | None, device: torch.device | str
) -> None:
    """Give a parameter that no file has its starting value; the rest of the model stays a plan."""
    owner, _, leaf = name.rpartition(".")
    value = torch.empty(model.get_parameter(name).shape, dtype=dtype or torch.float32, device=device)
    draw(value, model.get_submodule(owner), leaf, std)
    _put(model, name, value)


def _put(model: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(owner), leaf, nn.Parameter(value))
