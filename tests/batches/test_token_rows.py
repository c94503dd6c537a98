"""Batches of pairs by number of tokens: every row once an epoch, within the budget, the same after a restart."""

from __future__ import annotations

import numpy as np
import pytest

from hanmo.batches.token_rows import TokenRows
from hanmo.core.errors import ConfigError, DataError, TrainingError
from hanmo.nn.losses import IGNORED


def rows(n: int = 200, seed: int = 0) -> list[dict[str, list[int]]]:
    draw = np.random.default_rng(seed)
    found = []
    for number in range(n):
        source, target = draw.integers(2, 20, 2)
        found.append(
            {"input_ids": [number + 1] + [1] * int(source - 1), "labels": [number + 1] + [2] * int(target - 1)}
        )
    return found


def test_every_row_once_within_the_budget() -> None:
    batches = TokenRows(rows(), fill=0, batch_tokens=100, seed=3)
    for _ in range(2):
        seen: list[int] = []
        padding = 0.0
        n = 0
        while len(seen) < 200:
            batch = batches.next()
            ids, labels = batch["input_ids"], batch["labels"]
            assert max(ids.numel(), labels.numel()) <= 100
            assert (ids[:, 0] == labels[:, 0]).all()
            mask = batch.get("attention_mask")
            if mask is not None:
                assert ((ids != 0).long() == mask).all()
            padding, n = padding + float((labels == IGNORED).sum()), n + labels.numel()
            seen += ids[:, 0].tolist()
        assert sorted(seen) == list(range(1, 201))
        assert padding / n < 0.1


def test_epochs_differ_and_a_restart_does_not() -> None:
    batches = TokenRows(rows(), fill=0, batch_tokens=100, seed=3)
    first = [batches.next()["input_ids"][:, 0].tolist() for _ in range(batches.n_batches)]
    state = batches.state()
    later = [batches.next()["input_ids"].tolist() for _ in range(5)]
    assert first[:5] != [[row[0] for row in batch] for batch in later]
    other = TokenRows(rows(), fill=0, batch_tokens=100, seed=3)
    other.restore(state)
    assert [other.next()["input_ids"].tolist() for _ in range(5)] == later
    with pytest.raises(TrainingError, match="other training data"):
        TokenRows(rows(seed=1), fill=0, batch_tokens=100, seed=3).restore(state)
    with pytest.raises(TrainingError, match="outside epoch"):
        other.restore(state | {"position": 10_000})


def test_impossible_batches() -> None:
    with pytest.raises(ConfigError, match="a row has 19 tokens, a batch at most 10"):
        TokenRows(rows(), fill=0, batch_tokens=10, seed=0)
    with pytest.raises(DataError, match="no row"):
        TokenRows([], fill=0, batch_tokens=10, seed=0)
