"""Epochs without end: all items of one in a drawn order, then all of the next in another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from hanmo.batches.state import check_fingerprint, damaged_state
from hanmo.core.errors import TrainingError

__all__ = ["EpochOrder"]

ItemT = TypeVar("ItemT", covariant=True)


class _Items(Protocol[ItemT]):
    """A list, or an array where there are many."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: int, /) -> ItemT: ...


class EpochOrder(Generic[ItemT]):
    """Hands out the items of one epoch after another.

    The order of an epoch depends on (seed, epoch) alone: the state is two numbers, and going on from it repeats nothing
    and leaves nothing out.

    Args:
        arrange: the items of an epoch in their order, at least one, from that epoch's own source of randomness.
        seed: chooses the orders.
        fingerprint: of what is walked through, data and settings; a state of another one is refused.
        items: what they are, for errors: "batches".
    """

    def __init__(
        self, arrange: Callable[[np.random.Generator], _Items[ItemT]], *, seed: int, fingerprint: str, items: str
    ):
        self._arrange, self._seed, self._fingerprint, self._items = arrange, seed, fingerprint, items
        self._epoch = self._position = 0
        self._order = self._order_of(0)

    def __len__(self) -> int:
        """Items of the epoch that the next one comes from."""
        return len(self._order)

    def next(self) -> ItemT:
        """The next item."""
        item = self._order[self._position]
        self._position += 1
        if self._position == len(self._order):
            self._epoch, self._position = self._epoch + 1, 0
            self._order = self._order_of(self._epoch)
        return item

    def state(self) -> dict[str, Any]:
        """Where the next item stands; JSON."""
        return {"epoch": self._epoch, "position": self._position, "fingerprint": self._fingerprint}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            TrainingError: if it belongs to other data or settings, or is damaged.
        """
        check_fingerprint(state, self._fingerprint)
        epoch, position = state.get("epoch"), state.get("position")
        if not isinstance(epoch, int) or not isinstance(position, int) or epoch < 0:
            raise damaged_state(state)
        order = self._order_of(epoch)
        if not 0 <= position < len(order):
            raise TrainingError(
                f"position {position} is outside epoch {epoch} of {len(order)} {self._items}", where="batches"
            )
        self._epoch, self._position, self._order = epoch, position, order

    def _order_of(self, epoch: int) -> _Items[ItemT]:
        # SeedSequence mixes both numbers: seeds s and s + 1 share no epoch, as adding them would make them.
        return self._arrange(np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, epoch]))))
