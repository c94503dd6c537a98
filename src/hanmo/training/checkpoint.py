"""Checkpoints that survive a kill at any moment: complete and checked, or not there.

Protocol: temporary folder, files, manifest with sizes and SHA-256, fsync of each, rename, fsync of the parent, and
only then are old checkpoints deleted. A folder without a whole manifest is no checkpoint. No pickle anywhere.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanmo.core.errors import FormatError, StorageError, TrainingError, storage_error
from hanmo.core.files import new_folder, read_json, sha256_file, sha256_text, sweep_orphans, write_json
from hanmo.core.progress import say
from hanmo.models.adapters import adapter_sets
from hanmo.training.randomness import RandomState

__all__ = [
    "Checkpoint",
    "checkpoint_path",
    "checkpoint_steps",
    "delete_old_checkpoints",
    "find_damage",
    "has_checkpoints",
    "latest_checkpoint",
    "load_model_tensors",
    "model_tensors",
    "read_checkpoint",
    "sweep_checkpoints",
    "write_checkpoint",
]

_MODEL, _OPTIMIZER, _RANDOM, _STATE = "model.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json"
_FILES = (_MODEL, _OPTIMIZER, _RANDOM, _STATE)
_MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the rest of a run depends on."""

    step: int
    """Optimizer steps done."""
    identity: dict[str, str]
    """What the run was made of: hashes of data, tokenizer, model and settings."""
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: RandomState
    state: dict[str, Any]
    """Counters, loader position and guards, as plain JSON values."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Where the checkpoint of `step` stands in `folder`."""
    return folder / f"step-{step:08}"


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps of the whole checkpoints in `folder`, the earliest first."""
    return [_step_of(path) for path in _step_folders(folder)]


def has_checkpoints(folder: Path) -> bool:
    """Whether `folder` holds checkpoints, damaged ones included."""
    return bool(_step_folders(folder))


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; a tied tensor once, under its first name. Of a model with an adapter what
    the adapter has: the rest is read from where it came from."""
    unique: dict[int, tuple[str, Tensor]] = {}
    adapters = adapter_sets(model)
    mine = {id(parameter) for own in adapters for parameter in own.trained()}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not adapters or id(tensor) in mine:
            unique.setdefault(id(tensor), (name, tensor))
    return {name: tensor.detach() for name, tensor in unique.values()}


def load_model_tensors(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy the values that `model_tensors` took into `model`, in place, so that ties stay tied.

    Raises:
        FormatError: if names or shapes are not those of `model`.
    """
    own = model_tensors(model)
    different = sorted(set(own) ^ set(tensors)) or sorted(n for n in own if own[n].shape != tensors[n].shape)
    if different:
        raise FormatError(f"{len(different)} tensors do not fit this model: {', '.join(different[:10])}", where=_MODEL)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` as `folder/step-00000123`; it stands there whole, or not at all.

    Raises:
        StorageError: if the disk is full or may not be written; checkpoints already there are untouched.
    """
    path = checkpoint_path(folder, checkpoint.step)
    with new_folder(path) as temporary:
        _save_tensors(checkpoint.model, temporary / _MODEL)
        _save_tensors(checkpoint.optimizer, temporary / _OPTIMIZER)
        _save_tensors(checkpoint.random.tensors, temporary / _RANDOM)
        write_json(temporary / _STATE, checkpoint.state | {"random": checkpoint.random.values})
        files = [
            {"name": name, "size": (temporary / name).stat().st_size, "sha256": sha256_file(temporary / name)}
            for name in _FILES
        ]
        body = {"format": 1, "step": checkpoint.step, "identity": checkpoint.identity, "files": files}
        write_json(temporary / _MANIFEST, body | {"sha256": _digest(body)})
    return path


def find_damage(path: Path) -> str | None:
    """Say what is wrong with the checkpoint at `path`, by size and SHA-256 of every file, or None."""
    try:
        manifest = _read_manifest(path)
    except (FormatError, OSError) as error:
        return str(error)
    for file in manifest["files"]:
        part = path / file["name"]
        if not part.is_file():
            return f"{part}: missing"
        if part.stat().st_size != file["size"]:
            return f"{part}: {part.stat().st_size} bytes, should be {file['size']}"
        if sha256_file(part) != file["sha256"]:
            return f"{part}: its SHA-256 is not that of the manifest"
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint after checking every byte of it.

    Raises:
        FormatError: if it is incomplete or damaged; names the file.
    """
    damage = find_damage(path)
    if damage is not None:
        raise FormatError(f"this checkpoint is damaged ({damage})", where=path, remedy="Use an earlier one.")
    manifest = _read_manifest(path)
    state = read_json(path / _STATE)
    return Checkpoint(
        step=manifest["step"],
        identity=manifest["identity"],
        model=load_file(path / _MODEL),
        optimizer=load_file(path / _OPTIMIZER),
        random=RandomState(load_file(path / _RANDOM), state.pop("random")),
        state=state,
    )


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in `folder`; damaged ones are named and passed over. None if there are none.

    Raises:
        TrainingError: if there are checkpoints and every one is damaged.
    """
    found = _step_folders(folder)
    for path in reversed(found):
        damage = find_damage(path)
        if damage is None:
            return path
        say(f"Warning: {path.name} is damaged and passed over ({damage})")
    if found:
        raise TrainingError(
            f"all {len(found)} checkpoints are damaged", where=folder, remedy="Start a new run in another folder."
        )
    return None


def sweep_checkpoints(folder: Path, newest: Path | None) -> None:
    """Delete what killed processes left behind: temporary and half-deleted folders, and all beyond `newest`.

    `newest` is what `latest_checkpoint` found: whatever has a higher step is damaged.
    """
    sweep_orphans(folder)
    for path in _step_folders(folder, complete=False):
        if not (path / _MANIFEST).exists() or (newest is not None and _step_of(path) > _step_of(newest)):
            _delete(path)


def delete_old_checkpoints(folder: Path, *, keep: int, besides: int | None) -> None:
    """Keep the `keep` newest checkpoints and that of step `besides`; delete the others."""
    for path in _step_folders(folder)[:-keep]:
        if _step_of(path) != besides:
            _delete(path)


def _step_folders(folder: Path, *, complete: bool = True) -> list[Path]:
    """Checkpoint folders, oldest first; with `complete`, only those that have a manifest."""
    paths = (path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8,}", path.name) and path.is_dir())
    return sorted((path for path in paths if not complete or (path / _MANIFEST).exists()), key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _delete(path: Path) -> None:
    # The manifest goes first: a deletion that is killed half-way leaves no checkpoint that looks damaged.
    try:
        (path / _MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)
    except OSError as error:
        raise storage_error(error, path) from error


def _save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise StorageError(f"cannot write these tensors ({error})", where=path) from error
        raise OSError(int(code[1]), str(error), str(path)) from error


def _digest(body: Mapping[str, Any]) -> str:
    return sha256_text(json.dumps(body, sort_keys=True))


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path / _MANIFEST)
    body = {key: value for key, value in manifest.items() if key != "sha256"} if isinstance(manifest, dict) else {}
    whole = body and manifest.get("sha256") == _digest(body) and [f["name"] for f in body["files"]] == list(_FILES)
    if not whole:
        raise FormatError("changed after it was written", where=path / _MANIFEST)
    return manifest
