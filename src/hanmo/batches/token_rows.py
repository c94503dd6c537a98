"""Pairs of rows to padded batches for training: each epoch in a new order, as many tokens in each batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from hanmo.batches.epochs import EpochOrder
from hanmo.batches.padded_rows import collate
from hanmo.core.errors import ConfigError, DataError
from hanmo.nn.losses import IGNORED

__all__ = ["TokenRows"]


class TokenRows:
    """Endless batches of sources and targets; every row once in each epoch.

    The order depends on (seed, epoch) alone, so the state is two numbers. Rows are shuffled, sorted by the lengths of
    target and source, cut where a batch would hold more than `batch_tokens` positions on its longer side, and the batches
    are shuffled. Rows of one length fall together in another way each time, so that batches differ between epochs.

    Args:
        rows: `input_ids`, the source, and `labels`, the target.
        fill: fills up sources.
        batch_tokens: most positions of a batch, of the sources or of the targets, padding included.
        seed: chooses the orders.

    Raises:
        ConfigError: if a row alone is longer than a batch may be.
        DataError: if there is no row.
    """

    def __init__(self, rows: Sequence[Mapping[str, Sequence[int]]], *, fill: int, batch_tokens: int, seed: int):
        if not rows:
            raise DataError("there is no row to make batches of", where="rows")
        self._rows, self._fills = rows, {"input_ids": fill, "labels": IGNORED}
        self._budget = batch_tokens
        self._lengths = np.array([(len(row["input_ids"]), len(row["labels"])) for row in rows])
        if (longest := int(self._lengths.max())) > batch_tokens:
            raise ConfigError(
                f"a row has {longest} tokens, a batch at most {batch_tokens}", where="batch_tokens",
                remedy="Raise batch_tokens, or lower model.max_len.",
            )  # fmt: skip
        content = hashlib.sha256()
        for row in rows:
            content.update(json.dumps([list(row["input_ids"]), list(row["labels"])]).encode())
        settings = {"fill": fill, "batch_tokens": batch_tokens, "seed": seed}
        self.fingerprint: str = hashlib.sha256(
            json.dumps([content.hexdigest(), settings], sort_keys=True).encode()
        ).hexdigest()
        """Hex SHA-256 of the rows and of every setting that changes the batches."""
        self._batches = EpochOrder(self._shuffle, seed=seed, fingerprint=self.fingerprint, items="batches")
        self.n_batches: int = len(self._batches)
        """Batches in the first epoch; later ones may have a few more or less."""

    def next(self) -> dict[str, Tensor]:
        """The next batch: `input_ids` (B, S), `labels` (B, T), and `attention_mask` (B, S) where sources differ in length."""
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
        order = order[np.lexsort((self._lengths[order, 0], self._lengths[order, 1]))]
        batches: list[np.ndarray] = []
        first, widest = 0, 0
        for place, length in enumerate(self._lengths[order].max(1).tolist()):
            widest = max(widest, length)
            if (place + 1 - first) * widest > self._budget:
                batches.append(order[first:place])
                first, widest = place, length
        batches.append(order[first:])
        return [batches[number] for number in draw.permutation(len(batches))]
