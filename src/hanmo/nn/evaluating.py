"""A model in evaluation mode for as long as it is asked."""

from __future__ import annotations

from typing import Any

__all__ = ["evaluating"]


class evaluating:
    """Dropout off inside the block; the model is left in the mode it was in."""

    def __init__(self, model: Any):
        self._model, self._was_training = model, getattr(model, "training", False)

    def __enter__(self) -> None:
        if self._was_training:
            self._model.eval()

    def __exit__(self, *error: object) -> None:
        if self._was_training:
            self._model.train()
