"""Padded batches: every row once an epoch, like lengths together, resumed at any place."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

from hanmo.batches.padded_rows import PaddedRows, collate
from hanmo.core.errors import ConfigError, DataError, TrainingError

FILLS = {"input_ids": 0}


def rows(n: int) -> list[dict[str, Any]]:
    return [{"input_ids": [number + 1] * (1 + number * 7 % 13), "labels": number} for number in range(n)]


def test_collate() -> None:
    batch = collate([{"input_ids": [5], "tags": [1], "score": 0.5}, {"input_ids": [6, 7, 8], "tags": [2, 3, 4], "score": 2.0}],
                    {"input_ids": 9, "tags": -100})  # fmt: skip
    assert batch["input_ids"].tolist() == [[5, 9, 9], [6, 7, 8]]
    assert batch["tags"].tolist() == [[1, -100, -100], [2, 3, 4]]
    assert batch["score"].tolist() == [0.5, 2.0]
    assert batch["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1]]
    assert "attention_mask" not in collate([{"input_ids": [5, 6]}, {"input_ids": [7, 8]}], FILLS)


def test_several_sequences_in_a_row() -> None:
    pairs = [{"input_ids": [[5], [6, 7]], "texts": [0, 1]}, {"input_ids": [[8, 9, 1], [2]], "texts": [2, 0]}]
    batch = collate(pairs, FILLS)
    assert batch["input_ids"].tolist() == [[[5, 0, 0], [6, 7, 0]], [[8, 9, 1], [2, 0, 0]]]
    assert batch["attention_mask"].tolist() == [[[1, 0, 0], [1, 1, 0]], [[1, 1, 1], [1, 0, 0]]]
    assert batch["texts"].tolist() == [[0, 1], [2, 0]]
    many = [{"input_ids": [[1] * n, [2] * (30 - n)]} for n in range(1, 30)]
    batches = PaddedRows(many, fills=FILLS, batch_size=4, seed=0)
    longest = [batches.next()["input_ids"].shape[-1] for _ in range(batches.n_batches)]
    assert sum(longest) / len(longest) < 24  # the longest text of a row counts


@pytest.mark.parametrize("n", [1, 8, 23])
def test_every_row_once_an_epoch(n: int) -> None:
    batches = PaddedRows(rows(n), fills=FILLS, batch_size=4, seed=3)
    orders = []
    for _ in range(3):
        seen = [label for _ in range(batches.n_batches) for label in batches.next()["labels"].tolist()]
        assert Counter(seen) == Counter(range(n))
        orders.append(seen)
    if n > 4:
        assert orders[0] != orders[1]


def test_little_padding() -> None:
    batches = PaddedRows(rows(400), fills=FILLS, batch_size=4, seed=0)
    found = [batches.next()["input_ids"] for _ in range(batches.n_batches)]
    real = sum(int((ids > 0).sum()) for ids in found)
    assert sum(ids.numel() for ids in found) < 1.1 * real


def test_goes_on_where_it_was() -> None:
    one = PaddedRows(rows(23), fills=FILLS, batch_size=4, seed=3)
    for _ in range(9):
        one.next()
    state = one.state()
    two = PaddedRows(rows(23), fills=FILLS, batch_size=4, seed=3)
    two.restore(state)
    for _ in range(8):
        assert torch.equal(one.next()["input_ids"], two.next()["input_ids"])
    for wrong in ({"epoch": -1, "position": 0}, {"epoch": 0, "position": 6}, {"epoch": 0}):
        with pytest.raises(TrainingError):
            two.restore(wrong)
    for other in (
        PaddedRows(rows(22), fills=FILLS, batch_size=4, seed=3),
        PaddedRows(rows(23), fills=FILLS, batch_size=4, seed=4),
    ):
        with pytest.raises(TrainingError, match="other training data"):
            other.restore(state)


def test_refused() -> None:
    with pytest.raises(DataError, match="no row"):
        PaddedRows([], fills=FILLS, batch_size=4, seed=0)
    with pytest.raises(ConfigError, match="batch_size = 0"):
        PaddedRows(rows(2), fills=FILLS, batch_size=0, seed=0)
