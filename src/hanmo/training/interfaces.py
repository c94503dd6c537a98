"""What the training loop is handed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor, nn

__all__ = ["Batches", "EpochBatches", "Evaluate", "Loss"]

Loss = Callable[[nn.Module, dict[str, Tensor]], tuple[Tensor, "int | Tensor"]]
"""`loss(model, batch)`: the sum of the losses over the tokens that count, and how many those are."""

Evaluate = Callable[[nn.Module], dict[str, float]]
"""`evaluate(model)`: named figures on held-out data."""


class Batches(Protocol):
    """An endless sequence of batches that can be taken up again exactly where it was left."""

    fingerprint: str
    """Identifies data, order and batch shape; a checkpoint of another fingerprint is refused."""

    def next(self) -> dict[str, Tensor]:
        """The next micro-batch."""
        ...

    def state(self) -> dict[str, Any]:
        """Where the sequence stands, as plain JSON values; logged with every step, but for a `fingerprint` in it."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go to where `state` was taken."""
        ...


class EpochBatches(Batches, Protocol):
    """Batches that come round again."""

    @property
    def n_batches(self) -> int:
        """Micro-batches in an epoch."""
        ...
