from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.batches.blocks import TokenBlocks, check_ids
from hanmo.core.errors import ConfigError, DataError, TrainingError
from hanmo.nn.losses import IGNORED
from hanmo.tokenizers.bpe import train_bpe

IDS = np.arange(1000, dtype=np.uint16)


def _blocks(ids=IDS, **changes) -> TokenBlocks:
    return TokenBlocks(ids, **({"block_len": 7, "batch_size": 4, "seed": 3} | changes))


def _epoch(blocks: TokenBlocks) -> torch.Tensor:
    """Labels of one epoch, one row per batch of one."""
    return torch.cat([blocks.next()["labels"] for _ in range(blocks.blocks_per_epoch)])


def test_labels_are_the_next_tokens():
    batch = _blocks().next()
    assert batch["input_ids"].shape == batch["labels"].shape == (4, 7)
    assert batch["input_ids"].dtype == batch["labels"].dtype == torch.int64
    assert torch.equal(batch["labels"], batch["input_ids"] + 1)


@given(st.integers(2, 200), st.integers(1, 20), st.integers(0, 5))
@settings(deadline=None, max_examples=60)
def test_an_epoch_has_every_token_at_most_once_and_few_are_left_out(n, block_len, seed):
    if n < block_len + 1:
        return
    blocks = _blocks(np.arange(n), block_len=block_len, batch_size=1, seed=seed)
    for _ in range(3):
        labels = _epoch(blocks).flatten().tolist()
        assert max(Counter(labels).values()) == 1
        assert n - 1 - len(labels) < 2 * block_len
        assert labels
        assert sorted(labels) == list(range(min(labels), max(labels) + 1))


def test_epochs_and_seeds_differ():
    blocks = _blocks(batch_size=1)
    first, second = _epoch(blocks), _epoch(blocks)
    assert (blocks.state()["epoch"], blocks.state()["position"]) == (2, 0)
    assert first.tolist() != second.tolist()
    assert _epoch(_blocks(batch_size=1)).tolist() == first.tolist()
    other = _epoch(_blocks(batch_size=1, seed=4))
    assert other.tolist() not in (first.tolist(), second.tolist())
    phases = set()
    for _ in range(20):
        phases.add(int(_epoch(blocks).min()) % 7)
    assert len(phases) > 3, "the phase does not change from epoch to epoch"


@pytest.mark.parametrize("n_before", [0, 1, 35, 36, 100])
def test_resume_is_exact(n_before):
    straight, resumed = _blocks(), _blocks()
    for _ in range(n_before):
        straight.next()
    state = json.loads(json.dumps(straight.state()))
    expected = [straight.next()["input_ids"] for _ in range(80)]
    fresh = [resumed.next()["input_ids"] for _ in range(80)]
    assert all(map(torch.equal, fresh, expected)) == (n_before == 0)
    resumed.restore(state)
    assert all(map(torch.equal, [resumed.next()["input_ids"] for _ in range(80)], expected))


def test_states_of_other_data_are_refused():
    state = _blocks().state()
    for other in (_blocks(seed=4), _blocks(block_len=8), _blocks(batch_size=5), _blocks(IDS[:-1]), _blocks(IDS[::-1])):
        with pytest.raises(TrainingError, match="other training data"):
            other.restore(state)
    for broken in ({}, {"epoch": 0, "position": 10**6}, {"epoch": -1, "position": 0}, {"epoch": "0", "position": 0}):
        with pytest.raises(TrainingError):
            _blocks().restore(broken)


def test_fingerprint():
    assert _blocks().fingerprint == _blocks(IDS.astype(np.uint32)).fingerprint
    changed = IDS.copy()
    changed[500] += 1
    assert _blocks(changed).fingerprint != _blocks().fingerprint
    assert _blocks(identity="a").fingerprint == _blocks(changed, identity="a").fingerprint
    assert _blocks(identity="a").fingerprint != _blocks(identity="b").fingerprint


def test_impossible_requests():
    with pytest.raises(DataError, match="too few"):
        _blocks(IDS[:7])
    assert _blocks(IDS[:8]).next()["labels"].tolist() == [list(range(1, 8))] * 4
    for changes in ({"block_len": 0}, {"batch_size": 0}):
        with pytest.raises(ConfigError):
            _blocks(**changes)
    for wrong in (IDS.reshape(10, 100), IDS.astype(np.float32)):
        with pytest.raises(DataError, match="integers"):
            _blocks(wrong)


@given(st.integers(2, 120), st.integers(1, 12), st.integers(1, 5))
@settings(deadline=None, max_examples=80)
def test_sequential_scores_every_token_once(n, block_len, batch_size):
    ids = np.arange(100, 100 + n, dtype=np.uint16)
    labels = []
    for batch in TokenBlocks.sequential(ids, block_len=block_len, batch_size=batch_size):
        assert batch["input_ids"].shape == batch["labels"].shape
        assert batch["input_ids"].shape[0] <= batch_size
        assert batch["input_ids"].shape[1] == block_len
        real = batch["labels"] != -100
        assert torch.equal(batch["labels"][real], batch["input_ids"][real] + 1)
        assert batch["input_ids"].min() >= 100, "padding must be an id of the model"
        labels += batch["labels"][real].tolist()
    assert labels == list(range(101, 100 + n))


def test_sequential_refuses_an_empty_text():
    for n in (0, 1):
        with pytest.raises(DataError, match="predict"):
            TokenBlocks.sequential(IDS[:n], block_len=4, batch_size=2)


def test_check_ids():
    check_ids(IDS, 1000)
    with pytest.raises(DataError, match="id 999 at position 999"):
        check_ids(IDS, 999)
    with pytest.raises(DataError, match="id -1 at position 2"):
        check_ids(np.array([0, 1, -1]), 10)


def test_memory_map_of_chinese_and_english_text(tmp_path):
    texts = ["天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。" * 5, "The quick brown fox. " * 20]
    tokenizer = train_bpe(texts, 300)
    ids = np.array([i for text in texts for i in [*tokenizer.encode(text), tokenizer.eos_id]], np.uint16)
    ids.tofile(tmp_path / "tokens.bin")
    mapped = np.memmap(tmp_path / "tokens.bin", np.uint16, "r")
    check_ids(mapped, tokenizer.vocab_size)
    blocks = _blocks(mapped, block_len=16, eot_id=tokenizer.eos_id)
    assert blocks.fingerprint == _blocks(ids, block_len=16, eot_id=tokenizer.eos_id).fingerprint
    whole = tokenizer.decode(ids, skip_special=False).encode()
    for _ in range(10):
        for row in blocks.next()["input_ids"].tolist():
            assert b"".join(tokenizer.token_bytes(i) for i in row) in whole


@pytest.mark.parametrize(
    ("n", "block_len", "stride"), [(2, 8, 4), (9, 8, 4), (10, 8, 3), (101, 8, 4), (100, 7, 1), (64, 16, 16)]
)
def test_overlapping_windows_score_every_token_once_and_with_context(n, block_len, stride):
    ids = np.arange(n) + 5
    seen = []
    for batch in TokenBlocks.sequential(ids, block_len=block_len, batch_size=3, stride=stride):
        for inputs, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
            for place, label in enumerate(labels):
                if label == IGNORED:
                    continue
                seen.append(label)
                assert inputs[place] == label - 1
                # everything before it in the window is the text before it, and there is enough of it
                assert inputs[: place + 1] == list(range(label - 1 - place, label))
                assert place + 1 > block_len - stride or label - 5 <= block_len
    assert seen == ids[1:].tolist()


@pytest.mark.parametrize("stride", [0, 9])
def test_a_stride_outside_the_window_is_refused(stride):
    with pytest.raises(ConfigError, match="stride"):
        TokenBlocks.sequential(np.arange(50), block_len=8, batch_size=2, stride=stride)
