"""Blocks rearranged for filling in the middle: nothing is lost, cuts are anywhere, going on is exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hanmo.batches.blocks import TokenBlocks
from hanmo.batches.infilling import FillInMiddle
from hanmo.core.errors import ModelError, TrainingError
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.infilling import FIM_TOKENS, infill_tokens
from hanmo.tokenizers.tokenizer import Tokenizer

TEXT = "def 加(a, b):\n    return a + b  # 两数之和\n" * 40


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_bpe([TEXT], 320, special_tokens=(END_OF_TEXT, *FIM_TOKENS))


def _batches(tokenizer: Tokenizer, share: float = 1.0, spm: float = 0.5, seed: int = 0) -> FillInMiddle:
    ids = np.array([*tokenizer.encode(TEXT), tokenizer.eos_id, *tokenizer.encode(TEXT[::-1])])
    blocks = TokenBlocks(ids, block_len=48, batch_size=4, seed=0)
    return FillInMiddle(blocks, tokenizer, infill_tokens(tokenizer), share=share, spm_share=spm, seed=seed)


def _whole(tokenizer: Tokenizer, row: list[int]) -> tuple[str, str]:
    """Order and text of a rearranged row."""
    marks = infill_tokens(tokenizer)
    assert row[0] == marks.prefix
    suffix, middle, end = row.index(marks.suffix), row.index(marks.middle), row.index(tokenizer.eos_id or 0)
    assert suffix < middle < end
    decode = tokenizer.decode
    order = "spm" if suffix == 1 else "psm"
    if order == "spm":
        return order, decode(row[middle + 1 : end]) + decode(row[suffix + 1 : middle])
    return order, decode(row[1:suffix]) + decode(row[middle + 1 : end]) + decode(row[suffix + 1 : middle])


def test_nothing_is_lost(tokenizer: Tokenizer) -> None:
    batches, orders = _batches(tokenizer), []
    for _ in range(12):
        batch = batches.next()
        assert batch["input_ids"].shape == batch["labels"].shape == (4, 48)
        for inputs, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            kept = labels != -100
            assert torch.equal(inputs[1:][kept[:-1]], labels[:-1][kept[:-1]])
            row = [int(inputs[0]), *labels[kept].tolist()]
            order, text = _whole(tokenizer, row)
            orders.append(order)
            # the middle may have moved in between, but beginning, middle and end are one stretch of the text
            if order == "psm":
                assert text in TEXT or text in TEXT[::-1]
    assert {"psm", "spm"} == set(orders)


def test_shares(tokenizer: Tokenizer) -> None:
    marks = infill_tokens(tokenizer)
    ids = np.array(tokenizer.encode(TEXT))
    blocks = [TokenBlocks(ids, block_len=48, batch_size=4, seed=0) for _ in range(2)]
    plain = FillInMiddle(blocks[0], tokenizer, marks, share=1e-12, spm_share=0.5, seed=0)
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(plain.next().values(), blocks[1].next().values(), strict=True))
    batches = _batches(tokenizer, 0.25, 0.0)
    n = sum(int((batches.next()["input_ids"][:, 0] == marks.prefix).sum()) for _ in range(100))
    assert 60 < n < 140


def test_goes_on(tokenizer: Tokenizer) -> None:
    one, other = _batches(tokenizer, 0.5), _batches(tokenizer, 0.5)
    for _ in range(7):
        one.next()
    assert not torch.equal(one.next()["input_ids"], other.next()["input_ids"])
    other.restore(one.state())
    for _ in range(30):
        assert all(torch.equal(a, b) for a, b in zip(one.next().values(), other.next().values(), strict=True))
    with pytest.raises(TrainingError, match="other training data"):
        _batches(tokenizer, 0.4).restore(one.state())


def test_a_tokenizer_without_marks() -> None:
    with pytest.raises(ModelError, match="no tokens for filling"):
        infill_tokens(train_bpe([TEXT], 300))
