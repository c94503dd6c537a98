"""What word2vec has learnt so far: matrices and the place in the text, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.core.errors import ConfigError, FormatError
from hanmo.core.files import new_folder, read_json, sha256_text, write_json
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.lanes import LANES
from hanmo.vectors.word2vec_settings import Word2VecSettings
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["State", "load_state", "new_state", "save_state"]

_MATRICES, _PLACE = "matrices.safetensors", "place.json"


@dataclass
class State:
    """All that changes while word2vec learns."""

    x: np.ndarray
    """Input vectors of words, then of sub-words, (V + P, padded dim) float32, 64-byte aligned."""
    y: np.ndarray
    """Output vectors of words or of inner nodes, (V, padded dim) float32, 64-byte aligned."""
    done: int = 0
    """Stretches of text that are done, over all epochs."""


def _aligned_zeros(n_rows: int, dim: int) -> np.ndarray:
    """Zeros whose rows, padded to `LANES`, begin with a cache line each."""
    padded = -(-dim // LANES) * LANES
    zeros = np.zeros(n_rows * padded + LANES, np.float32)
    start = -(zeros.ctypes.data // 4) % LANES
    return zeros[start : start + n_rows * padded].reshape(n_rows, padded)


def new_state(text: WordIds, n_pieces: int, settings: Word2VecSettings, start: WordVectors | None) -> State:
    """Random input vectors as word2vec.c has them, or those of `start` for the words that it has; outputs are zero.

    Raises:
        ConfigError: if `start` has another length of vectors.
    """
    if start is not None and start.dim != settings.dim:
        raise ConfigError(
            f"the vectors to start from have dim {start.dim}, and dim = {settings.dim} is asked for",
            where="dim",
            remedy=f"Set dim = {start.dim}, or start from nothing.",
        )
    n_words, dim = len(text.words), settings.dim
    state = State(_aligned_zeros(n_words + n_pieces, dim), _aligned_zeros(n_words, dim))
    rng = np.random.default_rng(settings.seed)
    rng.random(out=(draws := np.empty((n_words + n_pieces, dim), np.float32)), dtype=np.float32)
    state.x[:, :dim] = (draws - 0.5) / dim
    if start is not None:
        known = [(row, start.index[word]) for row, word in enumerate(text.words) if word in start]
        rows = np.array(known, np.int64).reshape(-1, 2)
        state.x[rows[:, 0], :dim] = start.matrix[rows[:, 1]]
    return state


def _identity(text: WordIds, settings: Word2VecSettings) -> dict[str, object]:
    """What has to be the same for training to go on where it stopped."""
    words = sha256_text("\n".join(text.words))
    fixed = settings.model_dump(mode="json", exclude={"threads"})
    return {"settings": fixed, "words": words, "n_words": len(text.ids), "n_sentences": len(text.ends)}


def save_state(folder: Path, state: State, text: WordIds, settings: Word2VecSettings) -> None:
    """Write everything that `load_state` needs; all of it or nothing.

    Raises:
        StorageError: if the disk is full or may not be written; an older state stands.
    """
    from safetensors.numpy import save_file

    dim = settings.dim
    with new_folder(folder) as new:
        matrices = {"x": np.ascontiguousarray(state.x[:, :dim]), "y": np.ascontiguousarray(state.y[:, :dim])}
        save_file(matrices, new / _MATRICES)
        write_json(new / _PLACE, {"done": state.done, **_identity(text, settings)})


def load_state(folder: Path, text: WordIds, settings: Word2VecSettings) -> State:
    """The state that `save_state` wrote.

    Raises:
        ConfigError: if there is none, or it belongs to another text or other settings; names them.
        FormatError: if it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        place = read_json(folder / _PLACE)
        matrices = load_file(folder / _MATRICES)
        x, y, done = matrices["x"], matrices["y"], int(place["done"])
    except FileNotFoundError as error:
        raise ConfigError("there is no interrupted training here to resume", where=folder) from error
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"this interrupted training is damaged ({error})", where=folder, remedy="Train again from the start."
        ) from error
    wanted = _identity(text, settings)
    if place.get("settings") != wanted["settings"]:
        old, new = place.get("settings") or {}, settings.model_dump(mode="json")
        changed = ", ".join(f"{key} {old.get(key)} -> {new[key]}" for key in old if new.get(key) != old[key])
        raise ConfigError(f"other settings than those it began with ({changed})", where=folder)
    if any(place.get(key) != wanted[key] for key in ("words", "n_words", "n_sentences")):
        raise ConfigError("another text than the one it began with", where=folder)
    state = State(_aligned_zeros(len(x), settings.dim), _aligned_zeros(len(y), settings.dim), done)
    state.x[:, : settings.dim], state.y[:, : settings.dim] = x, y
    return state
