"""hanmo 翰墨: the whole life of a language model, in Chinese and English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hanmo.stories.judge import evaluate
    from hanmo.stories.quickstart import quickstart
    from hanmo.stories.train import train
    from hanmo.tasks.loading import load
    from hanmo.tasks.pipelines import pipeline

__all__ = ["__version__", "evaluate", "load", "pipeline", "quickstart", "train"]

__version__ = "0.1.0"

_HOMES = {
    "evaluate": "hanmo.stories.judge",
    "load": "hanmo.tasks.loading",
    "pipeline": "hanmo.tasks.pipelines",
    "quickstart": "hanmo.stories.quickstart",
    "train": "hanmo.stories.train",
}


def __getattr__(name: str) -> Any:
    # torch takes over a second to import: only what is asked for is loaded
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hanmo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
