"""The folder that a training which was interrupted goes on from: matrices, the place in the work, and whose it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import ConfigError, FormatError
from hanmo.core.files import check_replaceable, new_folder, read_json, sha256_text, write_json
from hanmo.core.settings import Settings
from hanmo.tokenizers.word_ids import WordIds

__all__ = ["check_checkpoint", "identity", "open_checkpoint", "read_checkpoint", "reading", "write_checkpoint"]

_MATRICES, _PLACE = "matrices.safetensors", "place.json"


def check_checkpoint(folder: Path) -> None:
    """Whether states may be written there: over nothing, an empty folder, or an older state.

    Raises:
        ConfigError: if there is a folder of something else.
    """
    check_replaceable(folder, _PLACE)


def open_checkpoint(checkpoint: str | Path | None, *, resume: bool) -> Path | None:
    """The folder for states, if there is to be one.

    Raises:
        ConfigError: if there is a folder of something else, or none is given to resume from.
    """
    if checkpoint is None:
        if resume:
            raise ConfigError("resume needs the folder of the interrupted training", where="checkpoint")
        return None
    check_checkpoint(Path(checkpoint))
    return Path(checkpoint)


def identity(text: WordIds, settings: Settings, *free: str) -> dict[str, Any]:
    """What has to be the same for training to go on where it stopped: the text, and all settings but the `free` ones."""
    words = sha256_text("\n".join(text.words))
    fixed = settings.model_dump(mode="json", exclude=set(free))
    return {"settings": fixed, "words": words, "n_words": len(text.ids), "n_sentences": len(text.ends)}


def write_checkpoint(folder: Path, matrices: Mapping[str, np.ndarray], place: Mapping[str, Any]) -> None:
    """Write a state; all of it or nothing.

    Args:
        folder: where.
        matrices: everything that is learnt.
        place: JSON values: how far the training is, and its `identity`.

    Raises:
        ConfigError: if there is a folder of something else.
        StorageError: if the disk is full or may not be written; an older state stands.
    """
    from safetensors.numpy import save_file

    check_checkpoint(folder)
    with new_folder(folder) as new:
        save_file({name: np.ascontiguousarray(matrix) for name, matrix in matrices.items()}, new / _MATRICES)
        write_json(new / _PLACE, place)


def read_checkpoint(folder: Path, own: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `write_checkpoint` wrote, place and matrices; inside `reading`.

    Args:
        folder: where.
        own: `identity` of the training that is to go on.

    Raises:
        ConfigError: if it belongs to another text or other settings; names them.
    """
    from safetensors.numpy import load_file

    place = read_json(folder / _PLACE)
    old, new = place["settings"], own["settings"]
    if old != new:
        changed = ", ".join(f"{key} {old.get(key)} -> {value}" for key, value in new.items() if old.get(key) != value)
        raise ConfigError(f"other settings than those it began with ({changed})", where=folder)
    if any(place.get(key) != value for key, value in own.items()):
        raise ConfigError("another text than the one it began with", where=folder)
    return place, load_file(folder / _MATRICES)


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Say of a state that cannot be read what is wrong.

    Raises:
        ConfigError: if there is none.
        FormatError: if it is damaged.
    """
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError as error:
        raise ConfigError("there is no interrupted training here to resume", where=folder) from error
    except (ConfigError, FormatError):
        raise
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise FormatError(
            f"this interrupted training is damaged ({error})", where=folder, remedy="Train again from the start."
        ) from error
