"""Models by their name on the Hugging Face hub: "org/name" or "org/name@revision". Nothing that can run code is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hanmo.core.errors import ModelError
from hanmo.core.files import sha256_file, sha256_text
from hanmo.core.hub import hub_errors
from hanmo.core.progress import is_quiet

__all__ = ["find_model", "model_digest", "parse_name"]

_ABOUT = ("*.json", "*.txt", "*.model", "*.jinja")
_WEIGHTS = ("*.safetensors",)
_ELSEWHERE = ("*/*.safetensors", "consolidated*.safetensors")
"""Second copies of the weights in other layouts, which some repositories carry."""
_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}", re.ASCII)


def find_model(path: str | Path, *, weights: bool = True) -> Path:
    """The folder of a model: `path` itself, or a copy of the repository that it names.

    A repository is fetched once and then found in the cache of `huggingface_hub`, whose settings are honoured
    (HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_TOKEN). Only JSON, safetensors and vocabulary files are fetched: no
    pickle, no Python.

    Args:
        path: a folder, or "org/name" or "org/name@revision".
        weights: whether weights are wanted; without them a description of the model takes kilobytes.

    Raises:
        ModelError: if there is no such folder and no such repository, or it cannot be reached.
    """
    if os.path.exists(path):  # unlike Path.exists it says no to what can be no path
        return Path(path)
    name = parse_name(path)
    if name is None:
        raise ModelError(
            "no such model directory", where=path,
            remedy='Give the folder that holds config.json, or a repository of the Hugging Face hub as "org/name".',
        )  # fmt: skip
    repository, revision = name
    fetched = _fetch(repository, revision, (*_ABOUT, *_WEIGHTS) if weights else _ABOUT)
    if weights and not any(fetched.glob("*.safetensors")):
        raise ModelError(
            "this repository holds no .safetensors weights; pickles (.bin, .pt), which can run code, are not fetched",
            where=path,
            remedy='Convert them where you trust them: python -c "from transformers import AutoModel as A; '
            f"A.from_pretrained('{repository}').save_pretrained('OUT')\", then give OUT.",
        )
    return fetched


def model_digest(path: str | Path, adapter: str | Path | None = None) -> str:
    """Hex SHA-256 that stands for a model: its weights, settings and tokenizer; and those of an adapter on it.

    Raises:
        ModelError: as `find_model`.
    """
    folders = [find_model(path), *([Path(adapter)] if adapter is not None else [])]
    files = [
        file for folder in folders for file in sorted(folder.iterdir()) if file.suffix in (".json", ".safetensors")
    ]
    return sha256_text("".join(f"{file.name} {sha256_file(file)}\n" for file in files))


def parse_name(path: str | Path) -> tuple[str, str | None] | None:
    """Repository and revision of "org/name@revision"; None for what is a path or could become one.

    A name whose first part is a folder here, such as runs/NAME, is a path.
    """
    text = os.fspath(path)
    repository, at, revision = text.partition("@")
    parts = repository.split("/")
    if len(parts) != 2 or not all(map(_PART.fullmatch, parts)):
        return None
    if any(odd in repository for odd in ("..", "--")) or repository.endswith(".git") or os.path.exists(parts[0]):
        return None
    if at and (not _REVISION.fullmatch(revision) or any(odd in revision for odd in ("..", "//", "@"))):
        return None
    return repository, revision or None


def _fetch(repository: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    import huggingface_hub
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    name = repository if revision is None else f"{repository}@{revision}"
    mute = is_quiet() and not are_progress_bars_disabled()
    if mute:
        disable_progress_bars()
    try:
        with hub_errors(ModelError, repository, where=name, is_path=True):
            folder = huggingface_hub.snapshot_download(
                repository, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_ELSEWHERE)
            )
    finally:
        if mute:
            enable_progress_bars()
    return Path(folder)
