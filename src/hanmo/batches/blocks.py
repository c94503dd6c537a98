"""A long array of ids to (inputs, labels) for causal language models: shuffled blocks, or one pass in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.epochs import EpochOrder
from hanmo.core.errors import ConfigError, DataError
from hanmo.nn.losses import IGNORED

__all__ = ["TokenBlocks", "check_ids"]

_CHUNK = 1 << 22


def check_ids(ids: np.ndarray, vocab_size: int, *, where: object = "token array") -> None:
    """Make sure that a model with `vocab_size` embeddings can read these ids.

    Args:
        ids: token ids, (N,), any integer type; a memory map is read in pieces.

    Raises:
        DataError: names the first id that is out of range and its place.
    """
    for start in range(0, len(ids), _CHUNK):
        chunk = np.asarray(ids[start : start + _CHUNK])
        wrong = np.flatnonzero((chunk < 0) | (chunk >= vocab_size))
        if len(wrong):
            raise DataError(
                f"id {int(chunk[wrong[0]])} at position {start + int(wrong[0])} is outside the vocabulary of {vocab_size}",
                where=where,
                remedy="The array was encoded with another tokenizer; encode it again with the model's own.",
            )


class TokenBlocks:
    """Endless shuffled batches of non-overlapping blocks of one long array.

    Each epoch starts at another random phase, so that a token meets another place in its block every time, and
    goes through all blocks in a new order. Both depend on (seed, epoch) alone: the state is two numbers, and
    going on from it repeats nothing and leaves nothing out. A batch may span two epochs; every batch is full.

    Args:
        ids: token ids, (N,), integers; may be a memory map, of which only the blocks asked for are read.
        block_len: tokens of input per row, T.
        batch_size: rows per batch, B.
        seed: chooses phases and orders.
        eot_id: id of the end-of-text token between documents; part of the fingerprint.
        identity: what stands for the array in the fingerprint, such as its SHA-256 recorded in shards.json.
            Without it the whole array is read once and hashed.

    Raises:
        ConfigError: if a size is below 1.
        DataError: if the array is not one row of integers or too short for one block.
    """

    def __init__(
        self,
        ids: np.ndarray,
        *,
        block_len: int,
        batch_size: int,
        seed: int,
        eot_id: int | None = None,
        identity: str | None = None,
    ):
        _check(ids, block_len, batch_size)
        if len(ids) < block_len + 1:
            raise DataError(
                f"{len(ids)} tokens are too few for one block of {block_len} and its next token",
                where="token array",
                remedy="Add text, or make the context (block_len) shorter.",
            )
        self._ids, self._block_len, self._batch_size = ids, block_len, batch_size
        settings = {"block_len": block_len, "batch_size": batch_size, "seed": seed, "eot_id": eot_id, "n": len(ids)}
        content = identity if identity is not None else _hash(ids)
        self.fingerprint: str = hashlib.sha256(json.dumps([content, settings], sort_keys=True).encode()).hexdigest()
        """Hex SHA-256 of the array and of every setting that changes the batches."""
        self._starts = EpochOrder(self._shuffle, seed=seed, fingerprint=self.fingerprint, items="blocks")

    @property
    def blocks_per_epoch(self) -> int:
        """Blocks in the epoch that the next row comes from; the phase may cost one."""
        return len(self._starts)

    def next(self) -> dict[str, Tensor]:
        """The next batch: `input_ids` and `labels`, both (B, T) int64, labels[b, t] the token after input t."""
        starts = [self._starts.next() for _ in range(self._batch_size)]
        rows = torch.from_numpy(np.stack([self._ids[i : i + self._block_len + 1].astype(np.int64) for i in starts]))
        return {"input_ids": rows[:, :-1].contiguous(), "labels": rows[:, 1:].contiguous()}

    def state(self) -> dict[str, Any]:
        """Where the next batch begins; JSON."""
        return self._starts.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            TrainingError: if it belongs to other data or settings, or is damaged.
        """
        self._starts.restore(state)

    def _shuffle(self, draw: np.random.Generator) -> np.ndarray:
        """Starts of the blocks of an epoch, in their order, (blocks,)."""
        # A block reads block_len + 1 tokens; its last is the first input of the next block.
        spare = (len(self._ids) - 1) % self._block_len
        whole = (len(self._ids) - 1) // self._block_len
        phase = int(draw.integers(self._block_len if whole > 1 else spare + 1))
        n_blocks = (len(self._ids) - 1 - phase) // self._block_len
        return phase + self._block_len * draw.permutation(n_blocks)

    @staticmethod
    def sequential(
        ids: np.ndarray, *, block_len: int, batch_size: int, stride: int | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Go through a held-out array once, in order: every token but the first is a label exactly once.

        Windows begin `stride` tokens apart and score only what no window before them has scored, so that with
        `stride` < `block_len` a token sees at least block_len - stride tokens before it (but for the first window).
        The last row is filled up with its last input and label -100; the last batch may have fewer rows.

        Args:
            ids: token ids, (N,), N >= 2. To have the first token of a text scored too, put the end-of-text
                token before it.
            block_len: tokens of input per row, T.
            batch_size: rows per batch, B.
            stride: tokens from one window to the next, 1 to block_len; block_len (no overlap) unless given.

        Yields:
            `input_ids` and `labels`, both (<= B, T) int64.

        Raises:
            ConfigError: if a size is impossible.
            DataError: if there is no token to predict.
        """
        _check(ids, block_len, batch_size)
        stride = block_len if stride is None else stride
        if not 1 <= stride <= block_len:
            raise ConfigError(f"stride must be between 1 and block_len {block_len}, got {stride}", where="stride")
        if len(ids) < 2:
            raise DataError(f"{len(ids)} tokens leave none to predict", where="held-out array", remedy="Add text.")
        return _in_order(ids, block_len, batch_size, stride)


def _in_order(ids: np.ndarray, block_len: int, batch_size: int, stride: int) -> Iterator[dict[str, Tensor]]:
    n_labels = len(ids) - 1
    starts = range(0, max(n_labels - block_len + stride, 1), stride)
    for first in range(0, len(starts), batch_size):
        rows = starts[first : first + batch_size]
        inputs = np.empty((len(rows), block_len), np.int64)
        labels = np.full((len(rows), block_len), IGNORED, np.int64)
        for row, start in enumerate(rows):
            window = np.asarray(ids[start : start + block_len + 1]).astype(np.int64)
            length = len(window) - 1
            inputs[row, :length], inputs[row, length:] = window[:-1], window[-2]
            scored = block_len - stride if start else 0
            labels[row, scored:length] = window[scored + 1 :]
        yield {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(labels)}


def _check(ids: np.ndarray, block_len: int, batch_size: int) -> None:
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise DataError(f"expected one row of integers, got shape {ids.shape} of {ids.dtype}", where="token array")
    for name, value in (("block_len", block_len), ("batch_size", batch_size)):
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}", where=name)


def _hash(ids: np.ndarray) -> str:
    """Hex SHA-256 of the ids themselves: the same for uint16 and uint32."""
    digest = hashlib.sha256()
    for start in range(0, len(ids), _CHUNK):
        digest.update(np.asarray(ids[start : start + _CHUNK]).astype("<u4").tobytes())
    return digest.hexdigest()
