"""Word vectors: word2vec, GloVe, their files, and what one does with them. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hanmo.vectors.files import read_vectors as load
    from hanmo.vectors.neighbours import associate
    from hanmo.vectors.phrases import find_phrases
    from hanmo.vectors.training import train
    from hanmo.vectors.word_vectors import WordVectors

__all__ = ["WordVectors", "associate", "find_phrases", "load", "train"]

_HOMES = {
    "WordVectors": ("hanmo.vectors.word_vectors", "WordVectors"),
    "associate": ("hanmo.vectors.neighbours", "associate"),
    "find_phrases": ("hanmo.vectors.phrases", "find_phrases"),
    "load": ("hanmo.vectors.files", "read_vectors"),
    "train": ("hanmo.vectors.training", "train"),
}


def __getattr__(name: str) -> Any:
    # numba takes most of a second to import: only what is asked for is loaded
    if name in _HOMES:
        import importlib

        module, own_name = _HOMES[name]
        return getattr(importlib.import_module(module), own_name)
    raise AttributeError(f"module 'hanmo.vectors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
