from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import DataError
from hanmo.corpora.splits import Member, Split, check_split, split_groups


def member(group: str, n_chars: int = 100, piece: int | None = None, key: str | None = None) -> Member:
    return Member(group, piece, n_chars, hashlib.sha256((key or f"{group}{piece}").encode()).digest())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5000)), min_size=2, max_size=80), st.integers(0, 5))
def test_groups_stay_whole_and_both_sides_have_some(rows: list[tuple[int, int]], seed: int) -> None:
    members = [member(f"g{group}", n, key=str(number)) for number, (group, n) in enumerate(rows)]
    if len({item.group for item in members}) < 2:
        with pytest.raises(DataError, match="too few"):
            split_groups(members, share=0.05, seed=seed)
        return
    split = split_groups(members, share=0.05, seed=seed)
    held = {item.group for item, side in zip(members, split.heldout, strict=True) if side}
    trained = {item.group for item, side in zip(members, split.heldout, strict=True) if not side}
    assert held
    assert trained
    assert not held & trained


def test_share_seed_and_order() -> None:
    members = [member(f"g{number}") for number in range(1000)]
    split = split_groups(members, share=0.05, seed=0)
    assert sum(split.heldout) == 50
    assert split == split_groups(members, share=0.05, seed=0)
    assert split.heldout != split_groups(members, share=0.05, seed=1).heldout
    turned = split_groups(members[::-1], share=0.05, seed=0)
    assert turned.heldout[::-1] == split.heldout


def test_a_huge_group_is_not_held_out_while_there_are_others() -> None:
    members = [member("huge", 1_000_000), *(member(f"g{number}") for number in range(30))]
    for seed in range(20):
        assert not split_groups(members, share=0.05, seed=seed).heldout[0]


def test_few_books_are_split_into_contiguous_stretches() -> None:
    members = [member(book, piece=piece) for book in ("红楼梦", "西游记", "水浒传") for piece in range(1, 101)]
    split = split_groups(members, share=0.05, seed=0)
    assert split.by == "stretch"
    assert len(set(split.groups)) == 60
    assert sum(split.heldout) == 15
    for start in range(0, 300, 5):
        assert len(set(split.groups[start : start + 5])) == 1


def test_many_books_stay_whole() -> None:
    members = [member(f"book{book}", piece=piece) for book in range(25) for piece in range(1, 5)]
    assert split_groups(members, share=0.05, seed=0).by == "group"


def test_copies_and_torn_groups_are_refused() -> None:
    members = [member("a", key="same"), member("b", key="same")]
    check_split(members, Split((True, True), ("a", "b"), "group"))
    with pytest.raises(DataError, match="same text is in the training and in the held-out side"):
        check_split(members, Split((True, False), ("a", "b"), "group"))
    members = [member("a", key="1"), member("a", key="2")]
    with pytest.raises(DataError, match="same group"):
        check_split(members, Split((True, False), ("a", "a"), "group"))
