from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError
from hanmo.corpora.dedup.first import later_occurrences, over_parts, repeated, split_by_key

KEYS = st.lists(st.sampled_from([0, 1, 2**31, 2**32, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1), max_size=60)


@given(KEYS)
def test_the_first_of_a_key_stays(values: list[int]) -> None:
    keys = np.array(values, dtype=np.uint64)
    assert later_occurrences(keys).tolist() == [value in values[:place] for place, value in enumerate(values)]
    assert repeated(keys).tolist() == [values.count(value) > 1 for value in values]


@settings(max_examples=40)
@given(st.lists(KEYS, max_size=5), st.integers(1, 9))
def test_buckets_and_parts_change_nothing(values: list[list[int]], n_buckets: int) -> None:
    parts = [np.array(part, dtype=np.uint64) for part in values]
    for rule in (later_occurrences, repeated):
        plain = rule(np.concatenate([np.zeros(0, np.uint64), *parts]))
        found = over_parts(rule, parts, n_buckets)
        assert [len(marks) for marks in found] == [len(part) for part in values]
        assert np.concatenate([np.zeros(0, bool), *found]).tolist() == plain.tolist()


def test_buckets_are_ranges_of_keys_in_order() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 10_000, dtype=np.uint64)
    places = split_by_key(keys, 7)
    assert np.sort(np.concatenate(places)).tolist() == list(range(10_000))
    tops = [(int(keys[at].min()), int(keys[at].max())) for at in places]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(tops))
    assert all((np.diff(at) > 0).all() and 1_200 < len(at) < 1_700 for at in places)


@pytest.mark.parametrize("n_buckets", [0, 65_537])
def test_a_wrong_number_of_buckets_is_refused(n_buckets: int) -> None:
    with pytest.raises(ConfigError, match="n_buckets"):
        split_by_key(np.zeros(1, np.uint64), n_buckets)
