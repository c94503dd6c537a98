"""Batches of several sources: how often each comes, and that the sequence can be taken up anywhere."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch

from hanmo.batches.mixture import SOURCE, MixedBatches, mixing_shares
from hanmo.batches.padded_rows import PaddedRows
from hanmo.core.errors import ConfigError, TrainingError


def source(n: int, first: int, seed: int = 0) -> PaddedRows:
    rows = [{"input_ids": [first + number] * (1 + number % 3), "labels": number} for number in range(n)]
    return PaddedRows(rows, fills={"input_ids": 0}, batch_size=4, seed=seed)


def mixed(seed: int = 0, alpha: float = 1.0) -> MixedBatches:
    return MixedBatches({"a": source(40, 1), "b": source(10, 100)}, sizes=[40, 10], alpha=alpha, seed=seed)


def test_shares() -> None:
    assert mixing_shares([90, 10], 1.0) == pytest.approx([0.9, 0.1])
    assert mixing_shares([90, 10], 0.0) == [0.5, 0.5]
    assert mixing_shares([90, 10], 0.5) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize(("alpha", "share"), [(1.0, 0.8), (0.0, 0.5), (0.5, 2 / 3)])
def test_how_often_each_comes(alpha: float, share: float) -> None:
    batches = mixed(alpha=alpha)
    found = Counter(int(batches.next()[SOURCE]) for _ in range(1000))
    assert found[0] / 1000 == pytest.approx(share, abs=0.04)


def test_each_goes_on_in_its_own_order() -> None:
    batches = mixed()
    alone = [source(40, 1), source(10, 100)]
    for _ in range(60):
        batch = batches.next()
        own = alone[int(batch.pop(SOURCE))].next()
        assert batch.keys() == own.keys()
        assert all(torch.equal(batch[key], own[key]) for key in own)
    assert batches.n_batches == 13


def test_taken_up_anywhere() -> None:
    batches = mixed()
    for _ in range(17):
        batches.next()
    state = json.loads(json.dumps(batches.state()))
    assert "fingerprint" not in state["sources"]["a"]
    after = [batches.next() for _ in range(20)]
    again = mixed()
    again.restore(state)
    for batch in after:
        assert all(
            torch.equal(value, other) for value, other in zip(batch.values(), again.next().values(), strict=True)
        )


def test_states_that_cannot_be() -> None:
    batches = mixed()
    with pytest.raises(TrainingError, match="other training data"):
        batches.restore(mixed(seed=1).state())
    with pytest.raises(TrainingError, match="other training data"):
        batches.restore(mixed(alpha=0.5).state())
    for damaged in ({"position": -1}, {"position": 3}, {"position": 3, "sources": {"a": {}}}):
        with pytest.raises(TrainingError, match="is damaged"):
            batches.restore(damaged)
    with pytest.raises(ConfigError, match="no source"):
        MixedBatches({}, sizes=[], alpha=1.0, seed=0)
