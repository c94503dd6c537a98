"""One vector for a row, against a loop over rows; padding on both sides, rows without any token."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hanmo.nn.pooling import POOLINGS, FirstTokenPooler, pool_max, pool_mean

PLAIN = {
    "cls": lambda row: row[0],
    "last": lambda row: row[-1],
    "mean": lambda row: torch.stack(list(row)).sum(0) / len(row),
    "max": lambda row: torch.stack(list(row)).amax(0),
}


@pytest.mark.parametrize("kind", POOLINGS)
@settings(max_examples=20)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4), sides=st.lists(st.booleans(), min_size=4, max_size=4)
)
def test_padding_on_either_side(kind: str, lengths: list[int], sides: list[bool]) -> None:
    rng = torch.Generator().manual_seed(len(lengths))
    hidden = torch.randn(len(lengths), 9, 5, generator=rng) - 3  # a maximum of all zeros would show
    mask = torch.zeros(len(lengths), 9, dtype=torch.int64)
    expected = []
    for row, (length, left) in enumerate(zip(lengths, sides, strict=False)):
        real = slice(9 - length, 9) if left else slice(0, length)
        mask[row, real] = 1
        expected.append(PLAIN[kind](hidden[row, real]))
    for given_mask in (mask, mask.bool(), mask.float()):
        torch.testing.assert_close(POOLINGS[kind](hidden, given_mask), torch.stack(expected))
    hidden[mask == 0] = float("nan")  # whatever padding holds, it is not looked at
    torch.testing.assert_close(POOLINGS[kind](hidden, mask), torch.stack(expected))


@pytest.mark.parametrize("kind", POOLINGS)
def test_no_mask_means_no_padding(kind: str) -> None:
    hidden = torch.randn(3, 6, 5)
    torch.testing.assert_close(POOLINGS[kind](hidden, None), POOLINGS[kind](hidden, torch.ones(3, 6)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", POOLINGS)
def test_rows_without_any_token(kind: str, dtype: torch.dtype) -> None:
    hidden = torch.randn(2, 6, 5).to(dtype).requires_grad_()
    mask = torch.zeros(2, 6, dtype=torch.int64)
    mask[1, 2:4] = 1
    pooled = POOLINGS[kind](hidden, mask)
    assert pooled.dtype == dtype
    assert torch.equal(pooled[0], hidden[0, 0] if kind in ("cls", "last") else torch.zeros(5, dtype=dtype))
    torch.testing.assert_close(pooled[1], PLAIN[kind](hidden[1, 2:4]))
    (grad,) = torch.autograd.grad(pooled.sum(), hidden)
    assert torch.isfinite(grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_long_row_in_half_precision(dtype: torch.dtype) -> None:
    hidden = torch.full((1, 3001, 2), 40.0, dtype=dtype)  # their sum is more than the largest fp16 number
    assert torch.equal(pool_mean(hidden, torch.ones(1, 3001)), torch.full((1, 2), 40.0, dtype=dtype))
    assert torch.equal(pool_max(hidden, torch.ones(1, 3001)), torch.full((1, 2), 40.0, dtype=dtype))


def test_the_pooler_summarises_the_first_token() -> None:
    pooler, hidden = FirstTokenPooler(5), torch.randn(2, 4, 5)

    def plain(vector: Tensor) -> Tensor:
        return torch.tanh(pooler.dense.weight @ vector + pooler.dense.bias)

    torch.testing.assert_close(pooler(hidden)[1], plain(hidden[1, 0]))
    pooled = pooler(hidden, torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1]]))
    torch.testing.assert_close(pooled, torch.stack((plain(hidden[0, 0]), plain(hidden[1, 2]))))
