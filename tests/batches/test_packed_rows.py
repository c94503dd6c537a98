"""Rows put together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.batches.packed_rows import next_token_row, pack_rows
from hanmo.core.errors import ConfigError


def test_a_text_becomes_a_row() -> None:
    row = next_token_row([5, 6, 7, 8], [True, False, True, True])
    assert row == {"input_ids": [5, 6, 7, 8], "position_ids": [0, 1, 2, 3], "labels": [-100, 7, 8, -100]}


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40))
def test_every_text_is_in_one_row_whole(lengths: list[int]) -> None:
    rows = [next_token_row([100 * n + i for i in range(length)], [True] * length) for n, length in enumerate(lengths)]
    packed = pack_rows(rows, max_len=12)
    assert all(len(row["input_ids"]) <= 12 for row in packed)
    found = []
    for row in packed:
        starts = [place for place, position in enumerate(row["position_ids"]) if position == 0] + [len(row["labels"])]
        for start, end in pairwise(starts):
            found.append({key: values[start:end] for key, values in row.items()})
    assert sorted(found, key=str) == sorted(rows, key=str)
    # best fit: no two rows could be put together, but for one
    halves = [row for row in packed if len(row["input_ids"]) <= 6]
    assert len(halves) <= 1


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match="a text of 9 tokens does not fit into a row of 8"):
        pack_rows([next_token_row(list(range(9)), [True] * 9)], max_len=8)
