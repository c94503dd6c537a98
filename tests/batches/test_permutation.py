"""Random orders: who is guessed, and what may be looked at."""

from __future__ import annotations

import pytest
import torch

from hanmo.batches.permutation import permute
from hanmo.core.errors import DataError


def test_targets_and_masks_follow_one_order() -> None:
    ids = torch.arange(40).reshape(4, 10) + 100
    mask = torch.ones(4, 10)
    mask[1, :4] = 0
    mask[2, 6:] = 0
    for seed in range(20):
        batch = permute(ids, 3, torch.Generator().manual_seed(seed), attention_mask=mask)
        places = batch.target_mapping.argmax(-1)
        assert torch.equal(batch.target_mapping.sum(-1), torch.ones(4, 3))
        assert torch.equal(batch.labels, ids.gather(1, places))
        for row in range(4):
            order = places[row].tolist()
            assert len(set(order)) == 3
            assert all(mask[row, place] for place in order)
            for i in range(10):
                for j in range(10):
                    before = j not in order or (i in order and order.index(j) < order.index(i))
                    assert bool(batch.perm_mask[row, i, j]) == (not before or not mask[row, j])


def test_the_same_state_gives_the_same_order_and_all_places_get_their_turn() -> None:
    ids = torch.zeros(2000, 6, dtype=torch.int64)
    one, two = (permute(ids, 2, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one.perm_mask, two.perm_mask)
    counts = one.target_mapping.sum((0, 1))
    assert (counts > 2000 * 2 / 6 * 0.85).all()


@pytest.mark.parametrize("n_targets", [0, 4, 9])
def test_something_must_remain_to_guess_from(n_targets: int) -> None:
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    with pytest.raises(DataError, match="row"):
        permute(torch.zeros(2, 5, dtype=torch.int64), n_targets, torch.Generator(), attention_mask=mask)
