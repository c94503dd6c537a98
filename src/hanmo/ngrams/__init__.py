"""N-gram language models: interpolated modified Kneser–Ney, ARPA files, fast scores. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hanmo.ngrams.loading import load
    from hanmo.ngrams.model import NgramModel
    from hanmo.ngrams.training import train, train_on_ids

__all__ = ["NgramModel", "load", "train", "train_on_ids"]

_HOMES = {
    "NgramModel": "hanmo.ngrams.model",
    "load": "hanmo.ngrams.loading",
    "train": "hanmo.ngrams.training",
    "train_on_ids": "hanmo.ngrams.training",
}


def __getattr__(name: str) -> Any:
    # numba takes most of a second to import: only what is asked for is loaded
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hanmo.ngrams' has no attribute {name!r}")
