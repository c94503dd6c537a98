"""Dropout by a compiled loop: the shares, the scale, the gradient, the draws."""

from __future__ import annotations

import pytest
import torch

from hanmo.nn.dropout import dropped


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_share_scale_and_independence(p: float) -> None:
    torch.manual_seed(0)
    y = dropped(torch.ones(1000, 1000), p)
    kept = (y != 0).double()
    assert y.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-6)
    share, noise = 1 - p, (p * (1 - p) / 1e6) ** 0.5
    assert abs(kept.mean() - share) < 5 * noise
    for other in (kept.roll(1, 1), kept.roll(1, 0), kept.roll(64, 1)):  # beside, below, further on
        assert abs((kept * other).mean() - share**2) < 8 * noise


def test_two_draws_have_nothing_in_common() -> None:
    torch.manual_seed(0)
    first, second = (dropped(torch.ones(1_000_000), 0.5) != 0 for _ in range(2))
    assert abs((first & second).double().mean() - 0.25) < 0.003
    for shift in (1, 2, 3, 1000, 4096):
        assert abs((first.roll(shift) & second).double().mean() - 0.25) < 0.003


def test_gradients_are_those_of_what_was_kept() -> None:
    x = torch.randn(7, 5, 3, requires_grad=True)
    y = dropped(x, 0.4)
    scale = torch.where(y == 0, 0.0, 1 / 0.6)
    torch.testing.assert_close(y, x * scale)
    coefficients = torch.randn(7, 5, 3)
    (gradient,) = torch.autograd.grad((y * coefficients).sum(), x, create_graph=True)
    torch.testing.assert_close(gradient, coefficients * scale)


def test_second_order() -> None:
    x = torch.randn(50, requires_grad=True)
    y = dropped(x**2, 0.5)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, torch.where(y == 0, 0.0, 4.0))


def test_drawn_from_the_generator_of_torch() -> None:
    x = torch.ones(10_000)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = dropped(x, 0.3)
    assert not torch.equal(dropped(x, 0.3), first)
    torch.set_rng_state(state)
    assert torch.equal(dropped(x, 0.3), first)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (17, 31)])
def test_shapes_and_layouts(shape: tuple[int, ...]) -> None:
    assert dropped(torch.ones(shape), 0.5).shape == shape
    turned = torch.arange(12.0).view(3, 4).T
    y = dropped(turned, 0.5)
    assert ((y == 0) | (y == 2 * turned)).all()


def test_nothing_to_drop() -> None:
    x = torch.randn(4)
    assert dropped(x, 0.0) is x
    assert dropped(x, 0.5, training=False) is x


def test_other_numbers_by_torch() -> None:
    y = dropped(torch.ones(10_000, dtype=torch.float64), 0.5)
    assert y.dtype == torch.float64
    assert set(y.unique().tolist()) == {0.0, 2.0}


def test_half_the_bits_are_dropped_alike_and_rounded_as_torch_does() -> None:
    x = torch.cat(
        [torch.randn(100_000), torch.tensor([0.0, -0.0, 1e-40, 3e38, float("inf"), float("-inf")])]
    ).bfloat16()
    state = torch.get_rng_state()
    y = dropped(x, 0.3)
    torch.set_rng_state(state)
    wide = dropped(x.float(), 0.3)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, wide.bfloat16())
    assert abs((wide != 0).double().mean() - 0.7) < 0.01
    nan = dropped(torch.full((1000,), float("nan"), dtype=torch.bfloat16), 0.5)
    assert 400 < nan.isnan().sum() < 600


def test_gradients_in_half_the_bits() -> None:
    x = torch.randn(1000, dtype=torch.bfloat16, requires_grad=True)
    y = dropped(x, 0.25)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient, torch.where(y == 0, 0.0, 4 / 3).bfloat16())


def test_under_the_compiler() -> None:
    compiled = torch.compile(lambda x: dropped(x, 0.25), backend="eager", fullgraph=True)
    y = compiled(torch.ones(10_000))
    assert abs((y != 0).double().mean() - 0.75) < 0.03
