"""Chunked and plain cross-entropy are one function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn import losses
from hanmo.nn.losses import chunked_cross_entropy, cross_entropy
from hanmo.nn.losses_kernels import score_rows


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_CHUNK_SCORES", 64)  # 64 tokens at a time: three chunks below, the last one short


def make(
    dtype: torch.dtype = torch.float32, n_tokens: int = 150, vocab_size: int = 37
) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    hidden = torch.randn(n_tokens, 11, generator=rng, dtype=torch.float64).to(dtype).requires_grad_()
    weight = torch.randn(vocab_size, 11, generator=rng, dtype=torch.float64).to(dtype).requires_grad_()
    labels = torch.randint(vocab_size, (n_tokens,), generator=rng)
    labels[::7] = -100
    return hidden, weight, labels


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_same_value_and_gradients(reduction) -> None:
    hidden, weight, labels = make()
    results = []
    for form in (cross_entropy, chunked_cross_entropy):
        loss = form(hidden, weight, labels, reduction=reduction)
        results.append((loss, *torch.autograd.grad(loss * 0.7, (hidden, weight))))
    for plain, chunked in zip(*results, strict=True):
        torch.testing.assert_close(plain, chunked, atol=1e-6 if reduction == "mean" else 1e-5, rtol=1e-6)
    expected = F.cross_entropy(hidden @ weight.T, labels, reduction=reduction)
    torch.testing.assert_close(results[1][0], expected)
    other = chunked_cross_entropy(hidden, weight, labels.where(labels != 3, 4), reduction=reduction)
    assert abs(other - results[0][0]) > 1e-4


def test_label_smoothing_is_that_of_torch() -> None:
    hidden, weight, labels = make()
    bias = torch.linspace(-1, 1, len(weight), requires_grad=True)
    results = []
    for form in (cross_entropy, chunked_cross_entropy):
        loss = form(hidden, weight, labels, bias=bias, label_smoothing=0.2)
        results.append((loss, *torch.autograd.grad(loss, (hidden, weight, bias))))
    for plain, chunked in zip(*results, strict=True):
        torch.testing.assert_close(plain, chunked, atol=1e-5, rtol=1e-5)
    # the definition: (1 - ε) onehot + ε / V
    counted = labels != -100
    logp = (hidden @ weight.T + bias).log_softmax(-1)[counted]
    wanted = -0.8 * logp.gather(1, labels[counted][:, None]).sum() - 0.2 * logp.mean(-1).sum()
    torch.testing.assert_close(results[1][0], wanted)
    assert abs(wanted - cross_entropy(hidden, weight, labels, bias=bias)) > 1


def test_gradcheck_in_double() -> None:
    hidden, weight, labels = make(torch.float64, n_tokens=70, vocab_size=5)
    assert torch.autograd.gradcheck(lambda h, w: chunked_cross_entropy(h, w, labels), (hidden, weight))


@pytest.mark.parametrize("trained", ["hidden", "weight"])
def test_one_of_the_two_may_be_frozen(trained: str) -> None:
    hidden, weight, labels = make()
    frozen = weight if trained == "hidden" else hidden
    frozen.requires_grad_(False)
    chunked_cross_entropy(hidden, weight, labels).backward()
    moving = hidden if trained == "hidden" else weight
    plain = torch.autograd.grad(cross_entropy(hidden, weight, labels), moving)[0]
    torch.testing.assert_close(moving.grad, plain, atol=1e-5, rtol=1e-5)
    assert frozen.grad is None


def test_under_bf16_autocast_it_is_as_close_as_the_plain_form() -> None:
    hidden, weight, labels = make()
    exact = torch.autograd.grad(cross_entropy(hidden, weight, labels, reduction="mean"), (hidden, weight))
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_cross_entropy(hidden, weight, labels, reduction="mean")
        plain = cross_entropy(hidden, weight, labels, reduction="mean")
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, plain, atol=2e-2, rtol=1e-2)
    for close, true in zip(torch.autograd.grad(loss, (hidden, weight)), exact, strict=True):
        assert close.dtype == torch.float32
        assert (close - true).norm() / true.norm() < 0.02


def test_no_gradient_work_without_need() -> None:
    hidden, weight, labels = make()
    with torch.no_grad():
        loss = chunked_cross_entropy(hidden, weight, labels)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, cross_entropy(hidden, weight, labels).detach(), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("form", [cross_entropy, chunked_cross_entropy])
def test_bad_labels_are_refused(form) -> None:
    hidden, weight, labels = make()
    with pytest.raises(ConfigError, match="every label is left out"):
        form(hidden, weight, torch.full_like(labels, -100), reduction="mean")
    assert form(hidden, weight, torch.full_like(labels, -100)) == 0
    for bad in (37, -1):
        labels[3] = bad
        with pytest.raises(ConfigError, match=f"label {bad} is outside the vocabulary of 37"):
            form(hidden, weight, labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 2), (5, 37), (70, 1000)])
def test_compiled_rows_are_the_plain_ones(dtype: torch.dtype, shape: tuple[int, int], smoothing: float) -> None:
    torch.manual_seed(0)
    scores = (4 * torch.randn(shape)).to(dtype)
    labels = torch.randint(shape[1], shape[:1])
    labels[::3] = losses.IGNORED
    wanted, gradient = losses._score_slice(scores, labels, losses.IGNORED, smoothing, True)
    for with_gradient in (True, False):
        mine = scores.clone()
        marked = labels.masked_fill(labels == losses.IGNORED, -1)
        found = score_rows(mine, marked, smoothing=smoothing, with_gradient=with_gradient)
        torch.testing.assert_close(found.sum(), wanted, rtol=1e-5, atol=1e-5)
        assert (found[::3] == 0).all()
        if with_gradient:
            # a rounding error of bfloat16 is half of 2**-8
            torch.testing.assert_close(
                mine.float(), gradient, atol=1e-6, rtol=2**-8 if dtype == torch.bfloat16 else 1e-5
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_number_among_the_scores_is_none_in_the_loss(dtype: torch.dtype) -> None:
    inf, nan = float("inf"), float("nan")
    rows = [[0.0, nan, 1.0], [0.0, inf, 1.0], [-inf, -inf, -inf], [-inf, 0.0, 1.0], [0.0, -inf, 1.0]]
    scores = torch.tensor(rows, dtype=dtype)
    expected = F.cross_entropy(scores.float(), torch.zeros(5, dtype=torch.int64), reduction="none")
    found = score_rows(scores, torch.zeros(5, dtype=torch.int64), smoothing=0.0, with_gradient=True)
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert found.isnan().tolist() == [True, True, True, False, False]
    assert scores[:3].isnan().all()
    torch.testing.assert_close(scores[4].float(), torch.tensor([-0.7311, 0.0, 0.7311]), atol=3e-3, rtol=0)


def test_scores_far_apart() -> None:
    scores = torch.tensor([[500.0, -500.0, 0.0], [3e38, -3e38, 0.0]])
    labels = torch.tensor([0, 1])
    expected = F.cross_entropy(scores, labels, reduction="none")
    torch.testing.assert_close(score_rows(scores, labels, smoothing=0.0, with_gradient=True), expected)
