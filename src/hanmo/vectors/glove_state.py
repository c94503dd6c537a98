"""What GloVe has learnt so far, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hanmo.core.errors import ConfigError, FormatError
from hanmo.core.files import new_folder, read_json, sha256_text, write_json
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.glove_settings import GloveSettings
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["GloveState", "load_glove", "new_glove", "padded", "save_glove"]

_MATRICES, _PLACE = "matrices.safetensors", "place.json"
_LINE = 16
"""float32 numbers of a cache line."""


def padded(dim: int) -> int:
    """Length of a row of vectors: each begins with a cache line, and what is behind its dim stays zero."""
    return -(-dim // _LINE) * _LINE


def _rows(n_rows: int, dim: int) -> np.ndarray:
    """Zeros, (n_rows, padded dim) float32, aligned to cache lines."""
    width = padded(dim)
    zeros = np.zeros(n_rows * width + _LINE, np.float32)
    start = -(zeros.ctypes.data // 4) % _LINE
    return zeros[start : start + n_rows * width].reshape(n_rows, width)


@dataclass
class GloveState:
    """All that changes while GloVe learns."""

    x: np.ndarray
    """Vectors of words, (V, padded dim) float32."""
    x_squares: np.ndarray
    """Sums of the squares of their steps, likewise."""
    y: np.ndarray
    """Vectors of contexts."""
    y_squares: np.ndarray
    """Sums of squares of those."""
    x_biases: np.ndarray
    """Biases of words and their sums of squares, (V, 2) float32."""
    y_biases: np.ndarray
    """Those of contexts."""
    done: int = 0
    """Rounds that are done, over all epochs; a round is a set of tiles without common rows or columns."""
    loss: float = 0.0
    """Sum of the losses of this epoch so far."""
    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch that is done, each co-occurrence before it was learnt from."""

    def parts(self) -> tuple[np.ndarray, ...]:
        """The arrays, in the order in which the kernel takes them."""
        return self.x, self.x_squares, self.y, self.y_squares, self.x_biases, self.y_biases


_NAMES = ("x", "x_squares", "y", "y_squares", "x_biases", "y_biases")


def new_glove(text: WordIds, settings: GloveSettings, start: WordVectors | None) -> GloveState:
    """Random vectors and biases as in the authors' program; or those of `start` for the words that it has.

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
    rng = np.random.default_rng(settings.seed)

    def draw(*shape: int) -> np.ndarray:
        return (rng.random(shape, np.float32) - np.float32(0.5)) / np.float32(dim)

    arrays = []
    for _ in range(2):
        vectors, squares = _rows(n_words, dim), _rows(n_words, dim)
        vectors[:, :dim], squares[:] = draw(n_words, dim), 1.0
        arrays += [vectors, squares]
    biases = [np.stack([draw(n_words), np.ones(n_words, np.float32)], 1) for _ in range(2)]
    state = GloveState(*arrays, *biases)
    if start is not None:
        known = [(row, start.index[word]) for row, word in enumerate(text.words) if word in start.index]
        rows, own = np.array(known, np.int64).reshape(-1, 2).T
        vectors = start.matrix[own]
        if settings.sum_sets:  # both have their half and what they differ in: one set alone could not learn
            noise = state.x[rows, :dim].copy()
            state.x[rows, :dim], state.y[rows, :dim] = vectors / 2 + noise, vectors / 2 - noise
        else:
            state.x[rows, :dim] = vectors
    return state


def _identity(text: WordIds, settings: GloveSettings) -> dict[str, object]:
    """What has to be the same for training to go on where it stopped."""
    words = sha256_text("\n".join(text.words))
    fixed = settings.model_dump(mode="json", exclude={"threads", "sum_sets"})
    return {"settings": fixed, "words": words, "n_words": len(text.ids), "n_sentences": len(text.ends)}


def save_glove(folder: Path, state: GloveState, text: WordIds, settings: GloveSettings) -> None:
    """Write everything that `load_glove` needs; all of it or nothing.

    Raises:
        StorageError: if the disk is full or may not be written; an older state stands.
    """
    from safetensors.numpy import save_file

    with new_folder(folder) as new:
        save_file(
            {name: np.ascontiguousarray(part) for name, part in zip(_NAMES, state.parts(), strict=True)},
            new / _MATRICES,
        )
        place = {"done": state.done, "loss": state.loss, "losses": state.losses}
        write_json(new / _PLACE, place | _identity(text, settings))


def load_glove(folder: Path, text: WordIds, settings: GloveSettings) -> GloveState:
    """The state that `save_glove` wrote.

    Raises:
        ConfigError: if there is none, or it belongs to another text or other settings; names them.
        FormatError: if it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    n_words, dim = len(text.words), settings.dim
    wanted = _identity(text, settings)
    try:
        place = read_json(folder / _PLACE)
        _check_same(place, wanted, folder)
        matrices = load_file(folder / _MATRICES)
        parts = []
        for name in _NAMES:
            part = np.zeros((n_words, 2), np.float32) if name.endswith("biases") else _rows(n_words, dim)
            part[:] = matrices[name]
            parts.append(part)
        done, loss = int(place["done"]), float(place["loss"])
        return GloveState(*parts, done=done, loss=loss, losses=[float(value) for value in place["losses"]])
    except FileNotFoundError as error:
        raise ConfigError("there is no interrupted training here to resume", where=folder) from error
    except (ConfigError, FormatError):
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise FormatError(
            f"this interrupted training is damaged ({error})", where=folder, remedy="Train again from the start."
        ) from error


def _check_same(place: dict[str, object], wanted: dict[str, object], folder: Path) -> None:
    old, new = place["settings"], wanted["settings"]
    assert isinstance(new, dict)
    if old != new:
        before = old if isinstance(old, dict) else {}
        changed = ", ".join(
            f"{key} {before.get(key)} -> {value}" for key, value in new.items() if before.get(key) != value
        )
        raise ConfigError(f"other settings than those it began with ({changed})", where=folder)
    if any(place.get(key) != wanted[key] for key in ("words", "n_words", "n_sentences")):
        raise ConfigError("another text than the one it began with", where=folder)
