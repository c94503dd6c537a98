"""The order-0 token model against hand-computed probabilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.metrics import order0, order0_bits_per_byte, order0_nats


def test_hand_vector_with_smoothing():
    train = np.array([0, 0, 0, 1, 1], dtype=np.uint16)  # p = (4, 3, 1) / 8 over a vocabulary of 3
    heldout = np.array([0, 2, 1, 2], dtype=np.uint32)
    expected = -(math.log(4 / 8) + 2 * math.log(1 / 8) + math.log(3 / 8))
    assert order0_nats(train, heldout, vocab_size=3) == pytest.approx(expected, rel=1e-12)
    assert order0_bits_per_byte(train, heldout, vocab_size=3, n_bytes=10) == pytest.approx(
        expected / math.log(2) / 10, rel=1e-12
    )


def test_uniform_counts_cost_log_of_the_vocabulary():
    ids = np.arange(256, dtype=np.uint16)
    assert order0_bits_per_byte(ids, ids, vocab_size=256, n_bytes=256) == pytest.approx(8.0)


def test_no_training_text_is_uniform():
    empty = np.array([], dtype=np.uint16)
    assert order0_nats(empty, np.array([3, 1]), vocab_size=4) == pytest.approx(2 * math.log(4))


def test_ids_of_another_tokenizer_are_refused():
    with pytest.raises(ValueError, match="heldout_ids"):
        order0_nats(np.array([0, 1]), np.array([0, 2]), vocab_size=2)
    with pytest.raises(ValueError, match="train_ids"):
        order0_nats(np.array([0, -1]), np.array([0, 1]), vocab_size=2)


def test_chunks_add_up(monkeypatch):
    rng = np.random.default_rng(0)
    train, heldout = rng.integers(0, 50, 1000), rng.integers(0, 50, 300)
    whole = order0_nats(train, heldout, vocab_size=50)
    monkeypatch.setattr(order0, "_CHUNK", 7)
    assert order0_nats(train, heldout, vocab_size=50) == whole
    assert order0_nats(train[:-1], heldout, vocab_size=50) != whole


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=40), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_probabilities_sum_to_one(train, heldout):
    """Scoring each id once gives log-probabilities whose exponentials sum to one."""
    counted = np.array(train, dtype=np.int64)
    each = [order0_nats(counted, np.array([token]), vocab_size=10) for token in range(10)]
    assert sum(math.exp(-nats) for nats in each) == pytest.approx(1.0)
    total = order0_nats(counted, np.array(heldout), vocab_size=10)
    assert total == pytest.approx(sum(each[token] for token in heldout))
