"""Batches of texts of like length."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hanmo.batches.by_length import batches_by_length, pad_rows
from hanmo.core.errors import ConfigError


@given(st.lists(st.integers(0, 200), max_size=80), st.integers(1, 400))
def test_each_row_once_and_within_the_budget(lengths: list[int], max_tokens: int) -> None:
    batches = batches_by_length(lengths, max_tokens=max_tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, length in zip(batches, longest, strict=True):
        assert len(batch) == 1 or len(batch) * length <= max_tokens
    assert all(min(lengths[row] for row in batch) >= later for batch, later in zip(batches, longest[1:], strict=False))


def test_little_is_padding() -> None:
    lengths = [5 + (7 * n) % 90 for n in range(500)]
    used = sum(len(batch) * lengths[batch[0]] for batch in batches_by_length(lengths, max_tokens=2048))
    assert used < 1.1 * sum(lengths)


def test_no_budget() -> None:
    with pytest.raises(ConfigError, match="max_tokens = 0"):
        batches_by_length([1], max_tokens=0)


def test_rows_are_filled_up() -> None:
    assert torch.equal(pad_rows([[1, 2, 3], [], [4]], 9), torch.tensor([[1, 2, 3], [9, 9, 9], [4, 9, 9]]))
