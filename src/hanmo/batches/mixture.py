"""Batches of several sources in one sequence: which source comes next is drawn, each goes on in its own order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.state import check_fingerprint, damaged_state
from hanmo.core.errors import ConfigError

__all__ = ["SOURCE", "MixedBatches", "Source", "mixing_shares"]

SOURCE = "source"
"""Entry of each batch: the number of the source that it comes from, () int64."""


class Source(Protocol):
    """Batches that come round again, and can be taken up where they were left."""

    fingerprint: str

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        ...

    def next(self) -> dict[str, Tensor]:
        """The next batch."""
        ...

    def state(self) -> dict[str, Any]:
        """Where the next batch stands."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        ...


def mixing_shares(sizes: Sequence[int], alpha: float) -> list[float]:
    """Probabilities in proportion to size^α (Lample & Conneau, 2019, §3.1): 1 by size, 0 all alike."""
    weights = [size**alpha for size in sizes]
    return [weight / sum(weights) for weight in weights]


class MixedBatches:
    """Endless batches, each of one source.

    The source of batch n depends on (seed, n) alone, so the state is n and the states of the sources.

    Args:
        sources: by name, in the order of their numbers.
        sizes: rows of each.
        alpha: how sizes count; see `mixing_shares`.
        seed: chooses the sources.

    Raises:
        ConfigError: if there is no source.
    """

    def __init__(self, sources: Mapping[str, Source], *, sizes: Sequence[int], alpha: float, seed: int):
        if not sources:
            raise ConfigError("there is no source to take batches from", where="sources")
        self._sources = dict(sources)
        self._shares = mixing_shares(sizes, alpha)
        self._seed, self._position = seed, 0
        settings = {"shares": self._shares, "seed": seed}
        parts = {name: source.fingerprint for name, source in self._sources.items()}
        self.fingerprint: str = hashlib.sha256(json.dumps([parts, settings], sort_keys=True).encode()).hexdigest()
        """Hex SHA-256 of the sources and of every setting that changes the batches."""

    @property
    def n_batches(self) -> int:
        """Batches in an epoch of all sources."""
        return sum(source.n_batches for source in self._sources.values())

    def next(self) -> dict[str, Tensor]:
        """The next batch of the source that is drawn, and which that is under `SOURCE`."""
        draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, 0x31, self._position])))
        number = int(draw.choice(len(self._shares), p=self._shares))
        self._position += 1
        return list(self._sources.values())[number].next() | {SOURCE: torch.tensor(number)}

    def state(self) -> dict[str, Any]:
        """Where the next batch stands; JSON."""
        parts = {
            name: {key: value for key, value in source.state().items() if key != "fingerprint"}
            for name, source in self._sources.items()
        }
        return {"position": self._position, "sources": parts, "fingerprint": self.fingerprint}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            TrainingError: if it belongs to other data or settings, or is damaged.
        """
        check_fingerprint(state, self.fingerprint)
        position, parts = state.get("position"), state.get("sources")
        if (
            not isinstance(position, int)
            or position < 0
            or not isinstance(parts, dict)
            or parts.keys() != self._sources.keys()
        ):
            raise damaged_state(state)
        for name, source in self._sources.items():
            source.restore(parts[name])
        self._position = position
