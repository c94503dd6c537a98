"""Low-rank changes, scalings and bottlenecks against their plain forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.nn.bottleneck import Bottleneck, BottleneckLinear
from hanmo.nn.frozen_linear import FrozenLinear, dense_weight
from hanmo.nn.ia3 import IA3Linear, Scaling
from hanmo.nn.linear import Linear
from hanmo.nn.lora import LoraLinear, LowRank


def make(*, dora: bool, base: str = "float32", bias: bool = True, dropout: float = 0.0) -> LoraLinear:
    """Rows 2 … 6 and 9 … 12 of 12 are changed."""
    torch.manual_seed(0)
    linear = Linear(7, 12, bias).requires_grad_(False)
    frozen: nn.Module = linear if base == "float32" else FrozenLinear(linear, dtype=base)  # pyright: ignore[reportArgumentType]
    parts = [LowRank(7, 5, start=2, rank=3, scale=0.5), LowRank(7, 3, start=9, rank=2, scale=1.5)]
    for part in parts:
        nn.init.normal_(part.b)
        if dora:
            part.add_magnitude(dense_weight(frozen)[part.span])
            assert part.magnitude is not None
            part.magnitude.data.mul_(1.3)
    return LoraLinear(frozen, parts, dropout=dropout)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("base", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("n_rows", [4, 40])  # few: the sums are made; many: the matrix is
def test_the_plain_form_has_the_same_values_and_gradients(dora: bool, base: str, bias: bool, n_rows: int) -> None:
    layer = make(dora=dora, base=base, bias=bias)
    x = torch.randn(2, n_rows, 7, requires_grad=True)
    y = layer(x)
    own = list(layer.parts.parameters())
    fast = torch.autograd.grad(y.square().sum(), [x, *own])
    other = layer.base.bias if bias else None
    assert other is None or isinstance(other, Tensor)
    plain = F.linear(x, layer.merged_weight(), other)
    slow = torch.autograd.grad(plain.square().sum(), [x, *own])
    torch.testing.assert_close(y, plain)
    for mine, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def test_only_what_is_dropped_differs() -> None:
    layer = make(dora=False, dropout=0.5)
    x = torch.randn(3, 7, requires_grad=True)
    torch.testing.assert_close(layer.eval()(x), F.linear(x, layer.merged_weight(), layer.base.bias))  # pyright: ignore[reportArgumentType]
    layer.train()
    y = layer(x)
    base = layer.base(x)
    unchanged = [0, 1, 7, 8]
    torch.testing.assert_close(y[:, unchanged], base[:, unchanged])
    assert not torch.allclose(y, layer.eval()(x))
    torch.manual_seed(3)
    many = torch.stack([layer.train()(x) for _ in range(4000)]).mean(0)
    torch.testing.assert_close(many, layer.eval()(x), atol=0.15, rtol=0.05)
    y.sum().backward()
    assert x.grad is not None


def test_autocast_computes_in_its_dtype() -> None:
    layer = make(dora=False)
    x = torch.randn(3, 7)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), layer(x), atol=0.1, rtol=0.05)
    y.float().sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parts.parameters())


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 2**-8), ("int8", 1 / 127)])
def test_a_frozen_layer_rounds_each_row_a_little(dtype: str, error: float) -> None:
    linear = Linear(64, 32)
    held = FrozenLinear(linear, dtype=dtype)  # pyright: ignore[reportArgumentType]
    difference = (held.dense() - linear.weight).abs().amax(1)
    assert (difference <= error * linear.weight.abs().amax(1)).all()
    assert not list(held.parameters())
    x = torch.randn(5, 64, requires_grad=True)
    held(x).square().sum().backward()
    again = x.detach().clone().requires_grad_()
    F.linear(again, held.dense(), linear.bias).square().sum().backward()
    torch.testing.assert_close(x.grad, again.grad)


@pytest.mark.parametrize("of_inputs", [False, True])
def test_scaled_layers(of_inputs: bool) -> None:
    linear = Linear(7, 12).requires_grad_(False)
    part = Scaling(7 if of_inputs else 4, start=3, of_inputs=of_inputs)
    layer, x = IA3Linear(linear, [part]), torch.randn(2, 7)
    torch.testing.assert_close(layer(x), linear(x))
    nn.init.normal_(part.factors)
    torch.testing.assert_close(layer(x), F.linear(x, layer.merged_weight(), layer.merged_bias()))
    expected = linear(x * part.factors.view(-1)) if of_inputs else linear(x).clone()
    if not of_inputs:
        expected[:, 3:7] *= part.factors.view(-1)
    torch.testing.assert_close(layer(x), expected)


def test_a_bottleneck_begins_as_nothing() -> None:
    linear = Linear(7, 12).requires_grad_(False)
    layer, x = BottleneckLinear(linear, Bottleneck(12, 3, activation="relu")), torch.randn(2, 7)
    torch.testing.assert_close(layer(x), linear(x))
    part = layer.part
    nn.init.normal_(part.up)
    y = linear(x)
    expected = y + torch.relu(y @ part.down.T + part.down_bias) @ part.up.T + part.up_bias
    torch.testing.assert_close(layer(x), expected)
