"""A linear layer in 8 bits: what it rounds, and how far it is from the layer it was made from."""

from __future__ import annotations

import pytest
import torch

from hanmo.nn.int8_linear import Int8Linear
from hanmo.nn.linear import Linear


@pytest.mark.parametrize(
    ("shape", "d_in", "d_out"), [((5,), 64, 96), ((2, 33), 100, 67), ((1, 1), 384, 1536), ((70,), 7, 3)]
)
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_product_of_what_was_rounded(shape, d_in: int, d_out: int, bias: bool) -> None:
    torch.manual_seed(0)
    linear, x = Linear(d_in, d_out, bias=bias), torch.randn(*shape, d_in) * 10
    weight = linear.weight.detach().double()
    w_scale = weight.abs().amax(1, keepdim=True) / 127
    low, high = x.double().aminmax(dim=-1, keepdim=True)
    middle, x_scale = (low + high) / 2, (high - low) / 254
    whole = ((weight / w_scale).round() * w_scale, ((x.double() - middle) / x_scale).round() * x_scale + middle)
    wanted = torch.nn.functional.linear(whole[1], whole[0], linear.bias.detach().double() if bias else None)
    found = Int8Linear(linear)(x)
    assert found.shape == (*shape, d_out)
    assert found.dtype == torch.float32
    # a number half way between two whole ones may be rounded to either
    step = float(x_scale.max() * weight.abs().max())
    torch.testing.assert_close(found.double(), wanted, atol=2 * step, rtol=0)
    assert (found.double() - wanted).abs().mean() < 0.05 * step
    right = linear(x).double()
    assert (found - right).norm() < 0.02 * right.norm()


def test_rows_of_zeros_no_rows_and_views() -> None:
    linear = Linear(64, 64)
    layer = Int8Linear(linear)
    assert torch.equal(layer(torch.zeros(2, 3, 64)), linear.bias.detach().expand(2, 3, 64))
    assert layer(torch.zeros(0, 64)).shape == (0, 64)
    x = torch.randn(64, 6, 2).transpose(0, 2)
    assert torch.equal(layer(x), layer(x.contiguous()))
    assert torch.isfinite(Int8Linear(Linear(64, 64, bias=False).requires_grad_(False))(x)).all()


def test_a_row_has_the_same_bits_in_any_batch_and_with_any_threads() -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(Linear(384, 128)), torch.randn(200, 384)
    whole, before = layer(x), torch.get_num_threads()
    assert torch.equal(layer(x[77:80]), whole[77:80])
    try:
        torch.set_num_threads(1)
        assert torch.equal(layer(x), whole)
    finally:
        torch.set_num_threads(before)


def test_columns_of_zeros() -> None:
    linear = Linear(64, 64)
    linear.weight.detach()[3] = 0
    out = Int8Linear(linear)(torch.randn(5, 64))
    assert torch.equal(out[:, 3], linear.bias.detach()[3].expand(5))
