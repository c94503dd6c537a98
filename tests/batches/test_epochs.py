"""The walk through epochs: each item once, other orders, the same after a restart, and states as they were ever written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hanmo.batches.blocks import TokenBlocks
from hanmo.batches.epochs import EpochOrder
from hanmo.batches.padded_rows import PaddedRows
from hanmo.batches.token_rows import TokenRows
from hanmo.core.errors import TrainingError

N = 5


def walk(seed: int = 3, fingerprint: str = "a") -> EpochOrder[int]:
    """Five items, and one more in every other epoch."""

    def arrange(draw: np.random.Generator) -> list[int]:
        return draw.permutation(N + int(draw.integers(2))).tolist()

    return EpochOrder(arrange, seed=seed, fingerprint=fingerprint, items="numbers")


def test_every_item_once_an_epoch_in_another_order() -> None:
    order = walk()
    epochs = []
    for _ in range(8):
        epochs.append([order.next() for _ in range(len(order))])
        assert sorted(epochs[-1]) == list(range(len(epochs[-1])))
    assert {len(epoch) for epoch in epochs} == {N, N + 1}
    assert len(set(map(tuple, epochs))) == 8


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    def epoch(seed: int, number: int) -> list[int]:
        order = walk(seed)
        order.restore({"epoch": number, "position": 0, "fingerprint": "a"})
        return [order.next() for _ in range(len(order))]

    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 4])))
    assert epoch(3, 4) == draw.permutation(N + int(draw.integers(2))).tolist()
    assert epoch(3, 4) != epoch(4, 3)
    assert epoch(3, 4) != epoch(4, 4)


@pytest.mark.parametrize("n_before", range(14))
def test_goes_on_where_it_was(n_before: int) -> None:
    one, two = walk(), walk()
    for _ in range(n_before):
        one.next()
    two.restore(one.state())
    assert two.state() == one.state()
    assert [two.next() for _ in range(9)] == [one.next() for _ in range(9)]


def test_states_that_do_not_fit() -> None:
    order = walk()
    order.next()
    before = order.state()
    assert before == {"epoch": 0, "position": 1, "fingerprint": "a"}
    with pytest.raises(TrainingError, match="other training data"):
        walk(fingerprint="b").restore(before)
    for wrong in ({"epoch": -1}, {"epoch": "0"}, {"position": None}, {"position": 1.0}):
        with pytest.raises(TrainingError, match="damaged"):
            order.restore(before | wrong)
    for position in (-1, len(order)):
        with pytest.raises(TrainingError, match=f"position {position} is outside epoch 0 of {len(order)} numbers"):
            order.restore(before | {"position": position})
    assert order.state() == before, "what is refused changes nothing"


ROWS = [{"input_ids": [n] * (1 + n % 7), "labels": [n] * (1 + n % 4)} for n in range(40)]


@pytest.mark.parametrize(
    ("batches", "state", "firsts"),
    [
        (
            TokenBlocks(np.arange(200, dtype=np.uint16), block_len=7, batch_size=5, seed=3, eot_id=0),
            {
                "epoch": 4,
                "position": 16,
                "fingerprint": "db6dee60bafbf9c9250d435759a42ecbda3b5d461edafa561d9d9cc122160813",
            },
            [14, 84, 168, 77, 175],
        ),
        (
            PaddedRows(ROWS, fills={"input_ids": 0, "labels": -100}, batch_size=4, seed=2),
            {
                "epoch": 2,
                "position": 5,
                "fingerprint": "8b8b7dcb8be3d089a15a3b83805411ef9644a696cea0c7f05985b10999012b09",
            },
            [22, 29, 15, 36],
        ),
        (
            TokenRows(ROWS, fill=0, batch_tokens=20, seed=5),
            {
                "epoch": 2,
                "position": 1,
                "fingerprint": "994dd4799314f6330c0a088ee52f880d2f8783f119f0f47405f6aa5f0bad289b",
            },
            [12, 20],
        ),
    ],
    ids=["blocks", "padded rows", "token rows"],
)
def test_checkpoints_written_before_the_walk_was_one(batches: Any, state: dict[str, Any], firsts: list[int]) -> None:
    """States and next batches as the three kinds wrote them when each had a walk of its own."""
    batches.restore(state)
    assert batches.state() == state
    assert batches.next()["input_ids"][:, 0].tolist() == firsts
