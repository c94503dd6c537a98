"""What word2vec has learnt so far: matrices and the place in the text, in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.checkpoints import identity, read_checkpoint, reading, write_checkpoint
from hanmo.vectors.learning import aligned_zeros, known_vectors
from hanmo.vectors.word2vec_pieces import Pieces
from hanmo.vectors.word2vec_settings import Word2VecSettings
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["State", "load_state", "new_state", "save_state"]


@dataclass
class State:
    """All that changes while word2vec learns."""

    x: np.ndarray
    """Input vectors of words, then of sub-words, (V + P, padded dim) float32, 64-byte aligned."""
    y: np.ndarray
    """Output vectors of words or of inner nodes, (V, padded dim) float32, 64-byte aligned."""
    done: int = 0
    """Stretches of text that are done, over all epochs."""


def _zeros(text: WordIds, pieces: Pieces, settings: Word2VecSettings) -> State:
    n_words = len(text.words)
    return State(aligned_zeros(n_words + len(pieces.buckets), settings.dim), aligned_zeros(n_words, settings.dim))


def new_state(text: WordIds, pieces: Pieces, settings: Word2VecSettings, start: WordVectors | None) -> State:
    """Random input vectors as word2vec.c has them, or those of `start` for what it has; outputs are zero.

    Raises:
        ConfigError: if `start` has another length of vectors.
        DataError: if it has a number that is not finite.
    """
    dim, state = settings.dim, _zeros(text, pieces, settings)
    rng = np.random.default_rng(settings.seed)
    rng.random(out=(draws := np.empty((len(state.x), dim), np.float32)), dtype=np.float32)
    state.x[:, :dim] = (draws - 0.5) / dim
    if start is not None:
        rows, vectors = known_vectors(text, start, dim)
        if settings.subwords is None:
            state.x[rows, :dim] = vectors
        else:
            pieces.begin_from(state.x[:, :dim], rows, vectors, start.subwords)
    return state


def save_state(folder: Path, state: State, text: WordIds, settings: Word2VecSettings) -> None:
    """Write everything that `load_state` needs; all of it or nothing.

    Raises:
        StorageError: if the disk is full or may not be written; an older state stands.
    """
    matrices = {"x": state.x[:, : settings.dim], "y": state.y[:, : settings.dim]}
    write_checkpoint(folder, matrices, {"done": state.done, **identity(text, settings, "threads")})


def load_state(folder: Path, text: WordIds, pieces: Pieces, settings: Word2VecSettings) -> State:
    """The state that `save_state` wrote.

    Raises:
        ConfigError: if there is none, or it belongs to another text or other settings; names them.
        FormatError: if it is damaged.
    """
    state = _zeros(text, pieces, settings)
    with reading(folder):
        place, matrices = read_checkpoint(folder, identity(text, settings, "threads"))
        state.x[:, : settings.dim], state.y[:, : settings.dim] = matrices["x"], matrices["y"]
        state.done = int(place["done"])
    return state
