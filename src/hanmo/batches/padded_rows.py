"""Rows of unequal length to padded batches for training: each epoch in a new order, rows of like length together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.by_length import pad_rows
from hanmo.batches.epochs import EpochOrder
from hanmo.core.errors import ConfigError, DataError

__all__ = ["PaddedRows", "collate"]

_POOL = 50
"""Batches whose rows are sorted by length together: little padding, and yet other neighbours in each epoch."""

Value = Sequence[int] | Sequence[Sequence[int]] | int | float


def collate(rows: Sequence[Mapping[str, Value]], fills: Mapping[str, int]) -> dict[str, Tensor]:
    """Rows side by side.

    Args:
        rows: each has the same keys: sequences of ids, or K of them, as many in each row; or numbers.
        fills: for each key of a sequence, what fills it up on the right.

    Returns:
        (B, T) int64 for each sequence, (B, K, T) for several, (B,) for each number; and where they differ in length
        `attention_mask`, 1 for what stood in `input_ids`.
    """
    batch: dict[str, Tensor] = {}
    for key in rows[0]:
        values: Any = [row[key] for row in rows]
        if key not in fills:
            batch[key] = torch.tensor(values)
        elif _is_several(values[0]):
            flat = pad_rows([sequence for several in values for sequence in several], fills[key])
            batch[key] = flat.unflatten(0, (len(rows), -1))
        else:
            batch[key] = pad_rows(values, fills[key])
    ids: Any = [row["input_ids"] for row in rows]
    lengths = torch.tensor([list(map(len, one)) if _is_several(one) else len(one) for one in ids])  # (B,) or (B, K)
    length = batch["input_ids"].shape[-1]
    if int(lengths.min()) < length:
        batch["attention_mask"] = (torch.arange(length) < lengths[..., None]).long()
    return batch


def _is_several(value: Any) -> bool:
    return len(value) > 0 and isinstance(value[0], Sequence)


class PaddedRows:
    """Endless batches of rows; every row once in each epoch.

    The order depends on (seed, epoch) alone, so the state is two numbers. Rows are shuffled, sorted by length within
    pools of 50 batches, cut into batches, and these are shuffled.

    Args:
        rows: what `collate` takes, with `input_ids` among it.
        fills: as there.
        batch_size: rows in a batch; the last of an epoch may have fewer.
        seed: chooses the orders.

    Raises:
        ConfigError: if the batch size is below 1.
        DataError: if there is no row.
    """

    def __init__(self, rows: Sequence[Mapping[str, Value]], *, fills: Mapping[str, int], batch_size: int, seed: int):
        if batch_size < 1:
            raise ConfigError(f"batch_size = {batch_size} leaves no room for a row", where="batch_size")
        if not rows:
            raise DataError("there is no row to make batches of", where="rows")
        self._rows, self._fills, self._size = rows, dict(fills), batch_size
        ids: list[Any] = [row["input_ids"] for row in rows]
        self._lengths = np.array([max(map(len, one)) if _is_several(one) else len(one) for one in ids])
        content = hashlib.sha256()
        for row in rows:
            content.update(json.dumps(dict(row), sort_keys=True).encode())
        settings = {"fills": self._fills, "batch_size": batch_size, "seed": seed}
        self.fingerprint: str = hashlib.sha256(
            json.dumps([content.hexdigest(), settings], sort_keys=True).encode()
        ).hexdigest()
        """Hex SHA-256 of the rows and of every setting that changes the batches."""
        self._batches = EpochOrder(self._shuffle, seed=seed, fingerprint=self.fingerprint, items="batches")

    @property
    def n_batches(self) -> int:
        """Batches in an epoch."""
        return -(-len(self._rows) // self._size)

    def next(self) -> dict[str, Tensor]:
        """The next batch; see `collate`."""
        return collate([self._rows[row] for row in self._batches.next()], self._fills)

    def state(self) -> dict[str, Any]:
        """Where the next batch stands; JSON."""
        return self._batches.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            TrainingError: if it belongs to other data or settings, or is damaged.
        """
        self._batches.restore(state)

    def _shuffle(self, draw: np.random.Generator) -> list[np.ndarray]:
        """Rows of each batch of an epoch, in the order of the batches."""
        order = draw.permutation(len(self._rows))
        batches: list[np.ndarray] = []
        for first in range(0, len(order), _POOL * self._size):
            pool = order[first : first + _POOL * self._size]
            pool = pool[np.argsort(self._lengths[pool], kind="stable")]
            batches += [pool[start : start + self._size] for start in range(0, len(pool), self._size)]
        return [batches[number] for number in draw.permutation(len(batches))]
