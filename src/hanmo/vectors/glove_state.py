"""What GloVe has learnt so far, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.checkpoints import identity, read_checkpoint, reading, write_checkpoint
from hanmo.vectors.glove_settings import GloveSettings
from hanmo.vectors.learning import aligned_zeros, known_vectors
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["GloveState", "load_glove", "new_glove", "save_glove"]


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


_FREE = "threads", "sum_sets"
"""Settings that may change when training goes on."""
_NAMES = ("x", "x_squares", "y", "y_squares", "x_biases", "y_biases")


def new_glove(text: WordIds, settings: GloveSettings, start: WordVectors | None) -> GloveState:
    """Random vectors and biases as in the authors' program; or those of `start` for the words that it has.

    Raises:
        ConfigError: if `start` has another length of vectors.
        DataError: if it has a number that is not finite.
    """
    n_words, dim = len(text.words), settings.dim
    rng = np.random.default_rng(settings.seed)

    def draw(*shape: int) -> np.ndarray:
        return (rng.random(shape, np.float32) - np.float32(0.5)) / np.float32(dim)

    arrays = []
    for _ in range(2):
        vectors, squares = aligned_zeros(n_words, dim), aligned_zeros(n_words, dim)
        vectors[:, :dim], squares[:] = draw(n_words, dim), 1.0
        arrays += [vectors, squares]
    biases = [np.stack([draw(n_words), np.ones(n_words, np.float32)], 1) for _ in range(2)]
    state = GloveState(*arrays, *biases)
    if start is not None:
        rows, vectors = known_vectors(text, start, dim)
        if settings.sum_sets:  # both have their half and what they differ in: one set alone could not learn
            noise = state.x[rows, :dim].copy()
            state.x[rows, :dim], state.y[rows, :dim] = vectors / 2 + noise, vectors / 2 - noise
        else:
            state.x[rows, :dim] = vectors
    return state


def save_glove(folder: Path, state: GloveState, text: WordIds, settings: GloveSettings) -> None:
    """Write everything that `load_glove` needs; all of it or nothing.

    Raises:
        StorageError: if the disk is full or may not be written; an older state stands.
    """
    place = {"done": state.done, "loss": state.loss, "losses": state.losses}
    matrices: dict[str, np.ndarray] = dict(zip(_NAMES, state.parts(), strict=True))
    write_checkpoint(folder, matrices, place | identity(text, settings, *_FREE))


def load_glove(folder: Path, text: WordIds, settings: GloveSettings) -> GloveState:
    """The state that `save_glove` wrote.

    Raises:
        ConfigError: if there is none, or it belongs to another text or other settings; names them.
        FormatError: if it is damaged.
    """
    n_words, dim = len(text.words), settings.dim
    with reading(folder):
        place, matrices = read_checkpoint(folder, identity(text, settings, *_FREE))
        parts = []
        for name in _NAMES:
            part = np.zeros((n_words, 2), np.float32) if name.endswith("biases") else aligned_zeros(n_words, dim)
            part[:] = matrices[name]
            parts.append(part)
        done, loss = int(place["done"]), float(place["loss"])
        return GloveState(*parts, done=done, loss=loss, losses=[float(value) for value in place["losses"]])
