"""Models by their name on the Hugging Face hub: "org/name" or "org/name@revision". Nothing that can run code is fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hanmo.core.errors import ModelError
from hanmo.core.files import sha256_file, sha256_text
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


def model_digest(path: str | Path) -> str:
    """Hex SHA-256 that stands for a model: its weights, settings and tokenizer.

    Raises:
        ModelError: as `find_model`.
    """
    files = sorted(file for file in find_model(path).iterdir() if file.suffix in (".json", ".safetensors"))
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
    from huggingface_hub import errors
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    name = repository if revision is None else f"{repository}@{revision}"
    mute = is_quiet() and not are_progress_bars_disabled()
    if mute:
        disable_progress_bars()
    try:
        folder = huggingface_hub.snapshot_download(
            repository, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_ELSEWHERE)
        )
    except errors.GatedRepoError as error:
        raise ModelError(
            "access to this repository must be asked for", where=name,
            remedy=f"Ask for it at https://huggingface.co/{repository}, then set HF_TOKEN or run `hf auth login`.",
        ) from error  # fmt: skip
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            "there is no such folder, and no such repository on the hub (or it is private)", where=name,
            remedy="Check the spelling; for a private repository set HF_TOKEN or run `hf auth login`.",
        ) from error  # fmt: skip
    except errors.RevisionNotFoundError as error:
        raise ModelError("this repository has no such revision", where=name) from error
    except errors.EntryNotFoundError as error:
        offline = huggingface_hub.constants.HF_HUB_OFFLINE
        raise ModelError(
            "there is no such folder, the repository is not in the local cache, and "
            + ("HF_HUB_OFFLINE forbids fetching it" if offline else "the hub cannot be reached"),
            where=name,
            remedy=f"Where there is a network, run `HF_HUB_OFFLINE=0 hf download {repository}` and copy the cache "
            f"({huggingface_hub.constants.HF_HUB_CACHE}) or the folder that it prints; then give that folder.",
        ) from error
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"the repository could not be fetched ({reason})", where=name, remedy="Try again.") from error
    finally:
        if mute:
            enable_progress_bars()
    return Path(folder)
