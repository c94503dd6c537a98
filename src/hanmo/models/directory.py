"""A model as a Hugging Face directory: config.json, generation_config.json, model.safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from hanmo.core.errors import ConfigError, FormatError, ModelError
from hanmo.core.files import read_json, write_json
from hanmo.core.settings import Settings, check_settings
from hanmo.models.causal_lm import CausalLM
from hanmo.models.families import FAMILIES, Family, family_of
from hanmo.models.weight_files import StoredTensor, list_tensors, read_tensors, write_tensors
from hanmo.models.weights.mapping import Rule

__all__ = ["read_config", "read_eos_ids", "read_model", "write_model"]

_FLOATS = ("F64", "F32", "F16", "BF16")


def read_config(path: str | Path) -> Settings:
    """Read `config.json` of a model directory (or that file) into its family's settings.

    Raises:
        ModelError: if it is missing or damaged, of no known family, or has settings that are not supported.
    """
    return _read_config(Path(path))[1]


def read_model(
    path: str | Path, *, dtype: torch.dtype | None = torch.float32, device: torch.device | str = "cpu"
) -> CausalLM:
    """Read a model directory, in evaluation mode.

    Each tensor is copied out of the mapped file and let go, so that the peak of memory is the model itself.

    Args:
        path: folder with config.json and model.safetensors (or its shards with their index).
        dtype: what to convert the weights to; None keeps that of the file.
        device: where to put them.

    Raises:
        ModelError: names what is missing, damaged, of the wrong shape or left over.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelError("no such model directory", where=path, remedy="Give the folder that holds config.json.")
    family, config = _read_config(path)
    with torch.device("meta"):
        model = family.build(config)
    stored = _match(path, family, model, config)
    for rule in family.rules(config):
        found = {name: stored[name] for name in rule.theirs}
        read = read_tensors(found.values())
        parts = {name: read[tensor.name] for name, tensor in found.items()}
        ours = model.get_parameter(rule.ours)
        filled = torch.empty(ours.shape, dtype=dtype or next(iter(parts.values())).dtype, device=device)
        rule.gather(parts, filled)
        owner, _, leaf = rule.ours.rpartition(".")
        setattr(model.get_submodule(owner), leaf, nn.Parameter(filled))
    return model.eval()


def write_model(path: str | Path, model: CausalLM, *, dtype: torch.dtype | None = None) -> None:
    """Write a directory that `transformers` and its kin load. Each file appears whole or not at all.

    Args:
        path: folder, made if needed; other files in it stay.
        model: of a known family.
        dtype: of the stored weights; the model's own if None.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    path, config = Path(path), model.config
    assert isinstance(config, Settings)
    family = family_of(config)
    parameters = dict(model.named_parameters())
    tensors = {name: part for rule in family.rules(config) for name, part in rule.scatter(parameters[rule.ours])}
    kind = dtype or model.embedding.token.weight.dtype
    keys = family.keys.write(config.model_dump())
    ids = {key: keys[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_tensors(path / "model.safetensors", tensors, dtype=dtype)
    write_json(path / "generation_config.json", {"_from_model_config": True, **ids})
    head = {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "dtype": str(kind).removeprefix("torch."),
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


def _read_config(path: Path) -> tuple[Family, Any]:
    file = path if path.name.endswith(".json") else path / "config.json"
    values = _read_object(file)
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise ModelError(
            f"model_type {model_type!r} is not supported", where=file, remedy=f"Supported: {', '.join(FAMILIES)}."
        )
    family = FAMILIES[model_type]
    try:
        return family, check_settings(family.config, family.keys.read(values, file))
    except ConfigError as error:
        raise ModelError(f"settings that cannot work ({error})", where=file) from error


def _match(path: Path, family: Family, model: CausalLM, config: Any) -> dict[str, StoredTensor]:
    """Compare headers with what the settings ask for, before any weight is read."""
    stored: dict[str, StoredTensor] = {}
    problems: list[str] = []
    for tensor in list_tensors(path):
        name = family.canonical(tensor.name)
        if name is None:
            continue
        if name in stored:
            problems.append(f"{name} is there twice")
        stored[name] = tensor
    expected: dict[str, tuple[int, ...]] = {}
    rules = family.rules(config)
    for rule in rules:
        expected |= rule.shapes(model.get_parameter(rule.ours).shape)
    problems += [f"{name} {shape} is missing" for name, shape in expected.items() if name not in stored]
    for name, tensor in stored.items():
        if name not in expected:
            if not _is_tied_copy(rules, stored, name):
                problems.append(f"{name} {tensor.shape} is not part of this model")
        elif tensor.shape != expected[name]:
            problems.append(f"{name} is {tensor.shape}, expected {expected[name]}")
        elif tensor.dtype not in _FLOATS:
            problems.append(f"{name} holds {tensor.dtype}, expected one of {', '.join(_FLOATS)}")
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ModelError(
            f"weights and config.json do not fit each other: {'; '.join(problems[:10])}{more}",
            where=path,
            remedy="Check that both files come from the same model.",
        )
    return stored


def _is_tied_copy(rules: list[Rule], stored: dict[str, StoredTensor], name: str) -> bool:
    """Whether this is the output matrix of a tied model, stored although it is the token embedding."""
    (embedding,) = next(rule.theirs for rule in rules if rule.ours == "embedding.token.weight")
    if name != "lm_head.weight" or embedding not in stored or stored[name].shape != stored[embedding].shape:
        return False
    copy, original = stored[name], stored[embedding]
    return torch.equal(read_tensors([copy])[copy.name], read_tensors([original])[original.name])
