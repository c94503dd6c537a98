"""What has to be checked when a model directory is opened for use, and what is asked of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from hanmo.core.errors import ConfigError, ModelError
from hanmo.generation.settings import GenerationSettings
from hanmo.models.weight_files import refuse_pickles
from hanmo.tokenizers.tokenizer import Tokenizer, has_tokenizer

__all__ = ["check_files", "check_tokenizer", "named_dtype", "seed_of"]

_SPARE_ROWS = 0.005
"""Share of the vocabulary by which a model may be larger than its tokenizer: sizes are often rounded up."""


def check_files(path: Path) -> None:
    """The folder must hold a whole model with its tokenizer.

    Raises:
        ModelError: names what is missing.
    """
    if not path.is_dir():
        raise ModelError(
            "this is a file, not a model directory", where=path,
            remedy="Give the folder that holds config.json, such as runs/NAME/model.",
        )  # fmt: skip
    if not (path / "config.json").is_file() and (path / "model" / "config.json").is_file():
        raise ModelError("this folder holds a run, not a model", where=path, remedy=f"Give {path / 'model'}.")
    weights = ("model.safetensors", "model.safetensors.index.json")
    missing = [] if (path / "config.json").is_file() else ["config.json"]
    missing += [] if has_tokenizer(path) else ["tokenizer.json"]
    if not any((path / name).is_file() for name in weights):
        refuse_pickles(path)
        missing.append(weights[0])
    if missing:
        raise ModelError(
            f"this is not a whole model directory: {', '.join(missing)} missing",
            where=path,
            remedy="Copy or download the missing files from where the model came from.",
        )


def named_dtype(name: str | torch.dtype | None) -> torch.dtype:
    """The dtype of this name; float32 if None.

    Raises:
        ConfigError: if there is none.
    """
    if isinstance(name, torch.dtype):
        return name
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name is not None and name not in known:
        raise ConfigError(f"unknown dtype {name!r}", where="dtype", remedy=f"Choose one of {', '.join(known)}.")
    return known[name or "float32"]


def seed_of(settings: GenerationSettings) -> int:
    """The seed that was asked for, or a new one."""
    return int.from_bytes(os.urandom(7)) if settings.seed is None else settings.seed


def check_tokenizer(config: Any, tokenizer: Tokenizer, eos_ids: Sequence[int], where: object) -> None:
    """The tokenizer must be the model's: nearly as many tokens, and the same end of a text.

    Raises:
        ModelError: if it is not.
    """
    spare = config.vocab_size - tokenizer.vocab_size
    problem = None
    if not 0 <= spare <= _SPARE_ROWS * config.vocab_size:
        problem = f"the tokenizer has {tokenizer.vocab_size} tokens, the model {config.vocab_size}"
    elif tokenizer.eos_id is not None and eos_ids and tokenizer.eos_id not in _ids(config.eos_id) | set(eos_ids):
        problem = f"the tokenizer's end-of-text token is {tokenizer.eos_id}, the model's {sorted(eos_ids)}"
    elif outside := [token for token in eos_ids if token >= config.vocab_size]:
        problem = f"end-of-text id {outside[0]} is outside the model's vocabulary of {config.vocab_size}"
    if problem is not None:
        raise ModelError(
            f"this tokenizer belongs to another model: {problem}",
            where=where,
            remedy="Put the tokenizer files that the model was trained with beside it.",
        )


def _ids(value: int | Sequence[int] | None) -> set[int]:
    return set() if value is None else {value} if isinstance(value, int) else set(value)
