from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.corpora.texts import CHARS

from hanmo.corpora.dedup.components import band_links, find_components
from hanmo.corpora.dedup.exact import find_copies
from hanmo.corpora.dedup.near import N_BANDS, N_ROWS, NearDuplicates, shingles, signature


def plain_components(links: list[tuple[int, int]]) -> list[list[int]]:
    """By walking from each document to its neighbours."""
    around: dict[int, set[int]] = {}
    for one, other in links:
        around.setdefault(one, set()).add(other)
        around.setdefault(other, set()).add(one)
    found: list[list[int]] = []
    seen: set[int] = set()
    for start in sorted(around):
        if start in seen:
            continue
        reached, waiting = {start}, [start]
        while waiting:
            new = around[waiting.pop()] - reached
            reached |= new
            waiting += new
        seen |= reached
        found.append(sorted(reached))
    return found


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40))
def test_components_are_what_walking_finds(links: list[tuple[int, int]]) -> None:
    array = np.array(links, dtype=np.int64).reshape(-1, 2)
    assert [component.tolist() for component in find_components(array)] == plain_components(links)


def test_a_chain_of_ten_thousand_is_one_component() -> None:
    numbers = np.random.default_rng(0).permutation(10_000)
    links = np.stack([numbers[:-1], numbers[1:]], axis=1)
    (component,) = find_components(links)
    assert component.tolist() == list(range(10_000))


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Chains of small changes, half of them in Chinese."""
    rng = random.Random(5)
    found: list[str] = []
    for chain in range(30):
        words = [rng.choice(CHARS) for _ in range(120)] if chain % 2 else [f"w{rng.randrange(500)}" for _ in range(120)]
        for _ in range(rng.randint(1, 6)):
            found.append(("" if chain % 2 else " ").join(words))
            for place in rng.sample(range(120), rng.randint(1, 5)):
                words[place] = "变" if chain % 2 else "changed"
    rng.shuffle(found)
    return found


def in_one_go(texts: list[str]) -> list[tuple[int, int]]:
    near = NearDuplicates(texts.__getitem__)
    found = ((number, near.find_or_keep(number, signature(shingles(text)))) for number, text in enumerate(texts))
    return [(number, kept) for number, kept in found if kept is not None]


@pytest.mark.parametrize(("n_parts", "n_buckets", "step"), [(1, 1, 16), (4, 3, 4), (7, 2, 1)])
def test_components_judged_apart_give_the_answer_of_one_who_reads_all(
    texts: list[str], n_parts: int, n_buckets: int, step: int
) -> None:
    numbers = np.arange(len(texts))
    signatures = np.stack([signature(shingles(text)) for text in texts])
    parts = list(zip(np.array_split(numbers, n_parts), np.array_split(signatures, n_parts), strict=True))
    links = [
        band_links(parts, range(first, first + step), bucket, n_buckets)
        for bucket in range(n_buckets)
        for first in range(0, N_BANDS, step)
    ]
    removed: list[tuple[int, int]] = []
    for component in find_components(np.concatenate(links)):
        near = NearDuplicates(texts.__getitem__)
        found = [(number, near.find_or_keep(number, signatures[number])) for number in component.tolist()]
        removed += [(number, kept) for number, kept in found if kept is not None]
    wanted = in_one_go(texts)
    assert len(wanted) > 20
    assert sorted(removed) == wanted


def test_signatures_have_the_width_of_their_bands() -> None:
    assert signature(np.array([1, 2, 3], dtype=np.uint64)).shape == (N_BANDS * N_ROWS,)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=20))
def test_of_equal_keys_the_first_stays(keys: list[tuple[int, int]]) -> None:
    seen: set[tuple[int, int]] = set()
    wanted = [key in seen or seen.add(key) is not None for key in keys]
    assert find_copies(np.array(keys, dtype=np.uint64).reshape(-1, 2)).tolist() == wanted


@pytest.mark.parametrize("join", [" ", ""], ids=["en", "zh"])
def test_planted_copies_are_found(join: str) -> None:
    """Of 200 planted near-duplicates at least 95 % are found, of other documents at most 1 % are taken for one."""
    rng = random.Random(11)
    vocabulary = [f"w{n}" for n in range(2_000)] if join else list(CHARS)
    documents = [[rng.choice(vocabulary) for _ in range(rng.randint(60, 300))] for _ in range(600)]
    originals = rng.sample(range(600), 100)
    copies = []
    for number in originals:
        tokens = list(documents[number])
        for place in rng.sample(range(len(tokens)), max(1, len(tokens) // 60)):
            tokens[place] = rng.choice(vocabulary)
        copies.append(tokens)
    found = dict(in_one_go([join.join(tokens) for tokens in documents + copies]))
    hits = sum(found.get(600 + place) == number for place, number in enumerate(originals))
    assert hits >= 95
    assert sum(number < 600 for number in found) <= 6
