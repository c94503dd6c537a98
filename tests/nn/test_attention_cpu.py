"""Attention by compiled vector code: the plain form's results and gradients, dropout, padding, threads, registers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, library
from torch.utils.flop_counter import FlopCounterMode

from hanmo.core import team
from hanmo.nn import attention, attention_cpu
from hanmo.nn.attention import attention_plain, attention_sdpa
from hanmo.nn.attention_cpu import fits_cpu


def make(B: int, H: int, G: int, T: int, S: int, K: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((B, H, T, K), (B, G, S, K), (B, G, S, K))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def kept_by_dropout(q: Tensor, k: Tensor, mask: Tensor | None, causal: bool, dropout: float, seed: int) -> Tensor:
    """Weights after dropout, (B, H, T, S): values that are rows of the identity bring them out, K columns at a time."""
    (B, H, T, K), (G, S) = q.shape, k.shape[1:3]
    weights = torch.zeros(B, H, T, S)
    for start in range(0, S, K):
        n = min(K, S - start)
        v = torch.zeros(B, G, S, K)
        v[:, :, range(start, start + n), range(n)] = 1
        torch.manual_seed(seed)
        found = attention_cpu.attention_cpu(q, k, v, mask=mask, causal=causal, dropout=dropout)
        weights[..., start : start + n] = found[..., :n].detach()
    return weights


SHAPES = [
    (2, 4, 4, 7, 7, 16, False), (3, 6, 2, 33, 33, 32, True), (1, 2, 2, 5, 40, 64, True), (2, 3, 1, 100, 100, 48, False),
    (2, 2, 2, 37, 29, 32, False), (1, 4, 4, 257, 257, 32, True), (2, 2, 1, 130, 150, 80, True), (1, 1, 1, 2, 2, 256, False),
]  # fmt: skip


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_results_and_gradients_are_those_of_the_plain_form(shape, masked: bool) -> None:
    *sizes, causal = shape
    inputs = make(*sizes)
    mask = None
    if masked:
        mask = (
            torch.rand(inputs[0].shape[0], 1, 1, inputs[1].shape[2], generator=torch.Generator().manual_seed(1)) > 0.3
        )
    assert fits_cpu(*inputs, mask, 0.0)
    out = attention_cpu.attention_cpu(*inputs, mask=mask, causal=causal, scale=0.2)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(out, inputs, upstream)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    wanted = attention_plain(*exact, mask=mask, causal=causal, scale=0.2)
    torch.testing.assert_close(out.double(), wanted, atol=3e-6, rtol=1e-5)
    for found, right in zip(gradients, torch.autograd.grad(wanted, exact, upstream.double()), strict=True):
        torch.testing.assert_close(found.double(), right, atol=4e-6 * float(right.abs().max()) + 1e-5, rtol=1e-5)
    with torch.no_grad():  # without what the gradient needs
        again = attention_cpu.attention_cpu(*inputs, mask=mask, causal=causal, scale=0.2)
    assert torch.equal(again, out)


def test_bfloat16_under_autocast_is_rounded_at_the_ends_alone() -> None:
    exact = make(2, 4, 2, 33, 40, 32)
    rounded = [x.detach().bfloat16().requires_grad_() for x in exact]
    wanted = attention_plain(*(x.detach().double() for x in rounded), causal=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert fits_cpu(*rounded, None, 0.0)
        out = attention.attention(*rounded, causal=True)
        mixed = attention.attention(rounded[0].float(), *rounded[1:], causal=True)  # as turned queries come
    assert out.dtype == mixed.dtype == torch.bfloat16
    assert torch.equal(out, mixed)
    torch.testing.assert_close(out.double(), wanted, atol=1e-5, rtol=2**-8)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).bfloat16()
    twins = [x.detach().double().requires_grad_() for x in rounded]
    right = torch.autograd.grad(attention_plain(*twins, causal=True), twins, upstream.double())
    for found, one in zip(torch.autograd.grad(out, rounded, upstream), right, strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), one, atol=2**-8 * float(one.abs().max()), rtol=2**-8)


def test_views_of_one_product_with_gradients_of_any_layout() -> None:
    heads = torch.randn(2, 9, 12, 16, requires_grad=True)
    q, k, v = (x.transpose(1, 2) for x in heads.split((4, 4, 4), dim=2))
    upstream = torch.randn(2, 4, 16, 9).transpose(2, 3)
    (found,) = torch.autograd.grad(attention_cpu.attention_cpu(q, k, v), heads, upstream)
    q, k, v = (x.transpose(1, 2) for x in heads.split((4, 4, 4), dim=2))
    (right,) = torch.autograd.grad(attention_plain(q, k, v), heads, upstream)
    torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-5)
    turned = [x.detach().transpose(2, 3).contiguous().transpose(2, 3) for x in (q, k, v)]  # numbers of a head far apart
    torch.testing.assert_close(attention_cpu.attention_cpu(*turned), attention_plain(*turned), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[-1] or s[3] > 30])
def test_dropout_and_its_gradient(shape) -> None:
    *sizes, causal = shape
    q, k, v = make(*sizes)
    mask = torch.ones(q.shape[0], 1, 1, k.shape[2], dtype=torch.bool)
    mask[-1, ..., :2] = False
    weights = kept_by_dropout(q, k, mask, causal, 0.3, seed=5)
    torch.manual_seed(5)
    out = attention_cpu.attention_cpu(q, k, v, mask=mask, causal=causal, dropout=0.3)
    upstream = torch.randn(out.shape, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad(out, (q, k, v), upstream)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    groups = q.shape[1] // k.shape[1]
    whole = attention_plain(
        exact[0],
        exact[1],
        torch.eye(k.shape[2], dtype=torch.float64).expand(*k.shape[:2], -1, -1),
        mask=mask,
        causal=causal,
    )
    wanted = whole * (weights != 0) / 0.7 @ exact[2].repeat_interleave(groups, dim=1)
    torch.testing.assert_close(out.double(), wanted, atol=3e-6, rtol=1e-5)
    for found, right in zip(gradients, torch.autograd.grad(wanted, exact, upstream.double()), strict=True):
        torch.testing.assert_close(found.double(), right, atol=4e-6 * float(right.abs().max()) + 1e-5, rtol=1e-5)


def test_dropout_drops_its_share_independently() -> None:
    q, k, _ = make(4, 8, 8, 128, 128, 16)
    kept = [(kept_by_dropout(q, k, None, False, 0.3, seed) != 0).double() for seed in (1, 2)]
    assert abs(kept[0].mean() - 0.7) < 0.003
    shifted = [kept[0].roll(1, axis) for axis in range(4)]
    for other in (kept[1], *shifted):  # another draw, the next text, head, query, key
        assert abs((kept[0] * other).mean() - 0.49) < 0.003
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert not torch.equal(*(attention_cpu.attention_cpu(q, k, k, dropout=0.3) for _ in range(2)))
    torch.set_rng_state(state)
    again = attention_cpu.attention_cpu(q, k, k, dropout=0.3)
    torch.set_rng_state(state)
    assert torch.equal(again, attention_cpu.attention_cpu(q, k, k, dropout=0.3))


@torch.no_grad()
def test_a_text_has_the_same_bits_alone_and_in_a_batch() -> None:
    q, k, v = make(3, 2, 2, 21, 21, 32)
    alone = attention_cpu.attention_cpu(q[1:2, :, :13], k[1:2, :, :13], v[1:2, :, :13])
    mask = torch.ones(3, 1, 1, 21, dtype=torch.bool)
    mask[1, ..., 13:] = False
    assert torch.equal(attention_cpu.attention_cpu(q, k, v, mask=mask)[1:2, :, :13], alone)


@torch.no_grad()
def test_what_comes_later_changes_no_bit() -> None:
    q, k, v = make(1, 2, 2, 40, 40, 16)
    before = attention_cpu.attention_cpu(q, k, v, causal=True)
    for x in (k, v):
        x[:, :, 30:] += 1
    after = attention_cpu.attention_cpu(q, k, v, causal=True)
    assert torch.equal(before[:, :, :30], after[:, :, :30])
    assert (before[:, :, 30:] != after[:, :, 30:]).any(-1).all()


def test_queries_that_see_nothing() -> None:
    inputs = make(2, 2, 2, 9, 9, 16)
    mask = torch.zeros(2, 1, 1, 9, dtype=torch.bool)
    mask[1, ..., 4:] = True
    for causal in (False, True):
        y = attention_cpu.attention_cpu(*inputs, mask=mask, causal=causal)
        assert (y[0] == 0).all()
        assert not causal or (y[1, :, :4] == 0).all()
        assert y[1, :, 4:].abs().sum() > 0
        gradients = torch.autograd.grad(y.pow(2).sum(), inputs)
        assert all(torch.isfinite(gradient).all() for gradient in gradients)
        assert (gradients[1][1, :, :4] == 0).all()


def test_large_scores() -> None:
    inputs = [x * 30 for x in make(1, 2, 2, 50, 50, 64)]
    found, right = (form(*inputs) for form in (attention_cpu.attention_cpu, attention_plain))
    torch.testing.assert_close(found, right, atol=2e-3, rtol=2e-3)  # scores of thousands have as many fewer digits
    assert torch.isnan(attention_cpu.attention_cpu(inputs[0] * torch.nan, *inputs[1:])).all()


@pytest.mark.parametrize("openmp", [True, False])
def test_threads_change_no_bit(openmp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not openmp:
        monkeypatch.setattr(team, "_openmp", lambda: None)
    inputs = make(3, 4, 2, 30, 30, 16)
    before, results = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            torch.manual_seed(0)
            out = attention_cpu.attention_cpu(*inputs, dropout=0.1)
            results.append((out, *torch.autograd.grad(out.square().sum(), inputs)))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other, strict=True))


def test_what_does_not_fit_goes_to_torch() -> None:
    fitting = make(1, 2, 2, 8, 8, 16)
    assert fits_cpu(*fitting, None, 0.1)
    for inputs, mask in (
        (make(1, 2, 2, 8, 8, 24), None),  # no whole registers
        (make(1, 2, 2, 1, 8, 16), None),  # a single query
        ([x.detach().double().requires_grad_() for x in fitting], None),
        (fitting, torch.ones(1, 2, 8, 8, dtype=torch.bool)),  # queries that see different keys
        (fitting, torch.zeros(1, 1, 1, 8)),  # added to the scores
    ):
        assert not fits_cpu(*inputs, mask, 0.0)
        torch.testing.assert_close(attention.attention(*inputs, mask=mask), attention_sdpa(*inputs, mask=mask))
    with torch.no_grad():
        assert not fits_cpu(*fitting, None, 0.1)  # too little to do
        assert fits_cpu(*make(2, 4, 4, 128, 128, 16), None, 0.0)


def test_the_gradient_has_none() -> None:
    inputs = make(1, 1, 1, 4, 4, 16)
    first = torch.autograd.grad(attention_cpu.attention_cpu(*inputs).square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="attend_gradient"):
        first[0].sum().backward()


def test_it_is_an_operator_of_torch() -> None:
    q, k, v = (x.detach().transpose(1, 2).requires_grad_() for x in make(2, 4, 2, 9, 9, 16))
    seen = torch.rand(2, 9) > 0.2
    library.opcheck(torch.ops.hanmo.attend.default, (q, k, v, seen, 0.2, True, 0, 0, 0.0, True))
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(attention_cpu.attention_cpu(*(x.transpose(1, 2) for x in (q, k, v))).sum(), (q, k, v))
    assert counter.get_total_flops() == 7 * 2 * 2 * 4 * 9 * 9 * 16


@pytest.mark.slow
def test_in_a_compiled_graph() -> None:
    heads = torch.randn(2, 40, 12, 16, requires_grad=True)

    def loss(form) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in heads.split((4, 4, 4), dim=2))
        return form(q, k, v, causal=True).pow(2).sum()

    compiled = torch.compile(lambda: loss(attention.attention), fullgraph=True)
    (found,), (right,) = (torch.autograd.grad(one, heads) for one in (compiled(), loss(attention_plain)))
    torch.testing.assert_close(found, right, atol=1e-4, rtol=1e-5)


@pytest.mark.slow
def test_registers_of_other_processors(tmp_path: Path) -> None:
    """The code for 8 lanes, by a process that takes its processor for one without AVX-512."""
    program = (
        "import llvmlite.binding as llvm, pytest, sys\n"
        "features = llvm.get_host_cpu_features()\n"
        "features['avx512f'] = False\n"
        "llvm.get_host_cpu_features = lambda: features\n"
        "from hanmo.nn.attention_frame import WIDTH\n"
        "assert WIDTH == 8\n"
        f"sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', '-k', 'plain_form or its_gradient', {__file__!r}]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
