"""The plain and the fused attention are one function; nothing is NaN."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.nn.attention import CrossAttention, SelfAttention, attention_plain, attention_sdpa
from hanmo.nn.context import Context
from hanmo.nn.masks import causal_mask


def make_qkv(
    n_heads: int, n_kv_heads: int, n_queries: int, n_keys: int, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    rng = torch.Generator().manual_seed(0)
    shapes = [(2, n_heads, n_queries, 6), (2, n_kv_heads, n_keys, 6), (2, n_kv_heads, n_keys, 6)]
    return [torch.randn(shape, generator=rng).to(dtype).requires_grad_() for shape in shapes]


def random_mask(kind: str, n_queries: int, n_keys: int) -> Tensor | None:
    rng = torch.Generator().manual_seed(1)
    seen = torch.rand(2, 1, n_queries, n_keys, generator=rng) < 0.7
    seen[0, 0, 0] = False  # a query that may look at nothing
    if kind == "bool":
        return seen
    if kind == "bias":
        return torch.randn(2, 3 * 2, n_queries, n_keys, generator=rng).masked_fill(~seen, -math.inf)
    return None


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3, 6])
@pytest.mark.parametrize("mask_kind", ["none", "bool", "bias"])
@pytest.mark.parametrize(
    ("n_queries", "n_keys", "causal"), [(7, 7, False), (7, 7, True), (3, 8, True), (1, 8, True), (5, 9, False)]
)
def test_plain_and_fused_agree(n_kv_heads: int, mask_kind: str, n_queries: int, n_keys: int, causal: bool) -> None:
    qkv = make_qkv(6, n_kv_heads, n_queries, n_keys)
    mask = random_mask(mask_kind, n_queries, n_keys)
    results = []
    for form in (attention_plain, attention_sdpa):
        y = form(*qkv, mask=mask, causal=causal, scale=0.3)
        results.append((y, *torch.autograd.grad(y.pow(2).sum(), qkv)))
    for plain, fused in zip(*results, strict=True):
        assert torch.isfinite(plain).all()
        torch.testing.assert_close(plain, fused, atol=2e-6, rtol=1e-5)
    if mask is not None:
        assert (results[0][0][0, :, 0] == 0).all()
        assert (results[1][0][0, :, 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", [attention_plain, attention_sdpa])
def test_rows_that_see_nothing_are_zero_with_finite_gradients(form, dtype: torch.dtype) -> None:
    qkv = make_qkv(2, 2, 5, 5, dtype)
    mask = torch.zeros(2, 1, 5, 5, dtype=torch.bool)
    mask[1, :, 2:] = True
    for causal in (False, True):
        y = form(*qkv, mask=mask, causal=causal)
        assert (y[0] == 0).all()
        assert (y[1, :, :2] == 0).all()
        assert y[1, :, 2:].abs().sum() > 0
        assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(y.float().pow(2).sum(), qkv))


def test_plain_form_follows_the_equation() -> None:
    q, k, v = (x.detach() for x in make_qkv(1, 1, 3, 3))
    scores = (q[0, 0] @ k[0, 0].T) / math.sqrt(6)
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    torch.testing.assert_close(attention_plain(q, k, v)[0, 0], weights @ v[0, 0])
    first = attention_plain(q, k, v, causal=True)[0, 0, 0]
    torch.testing.assert_close(first, v[0, 0, 0])


def test_dropout_keeps_the_mean_and_is_off_in_evaluation() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(8, 2, dropout=0.5)
    x = torch.randn(1, 4, 8)
    context = Context(causal=True)
    assert not torch.equal(layer(x, context, 0), layer(x, context, 0))
    mean = torch.stack([layer(x, context, 0) for _ in range(3000)]).mean(0)
    layer.eval()
    assert torch.equal(layer(x, context, 0), layer(x, context, 0))
    torch.testing.assert_close(mean, layer(x, context, 0), atol=0.05, rtol=0)


def test_gradient_with_dropout_by_finite_differences() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(6, 3, n_kv_heads=1, dropout=0.3).double()
    x = torch.randn(1, 4, 6, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor) -> Tensor:
        torch.manual_seed(1)  # the same weights are dropped each time
        return layer(x, Context(causal=True), 0)

    assert torch.autograd.gradcheck(run, x)


def test_cross_attention_sees_the_source_and_its_mask() -> None:
    torch.manual_seed(0)
    layer = CrossAttention(8, 2, d_source=5)
    x, source = torch.randn(2, 3, 8), torch.randn(2, 4, 5)
    seen = torch.tensor([[True, True, False, False], [True] * 4])[:, None, None]
    y = layer(x, Context(source=source, source_mask=seen), 0)
    source[0, 2:] += 1
    assert torch.equal(layer(x, Context(source=source, source_mask=seen), 0), y)
    source[1, 3] += 1
    assert not torch.equal(layer(x, Context(source=source, source_mask=seen), 0), y)
    with pytest.raises(ConfigError, match="nothing to look at"):
        layer(x, Context(), 0)


def test_impossible_heads_are_named() -> None:
    with pytest.raises(ConfigError, match="d_model 10 is not a multiple of n_heads 3"):
        SelfAttention(10, 3)
    with pytest.raises(ConfigError, match="not a multiple of n_kv_heads 4"):
        SelfAttention(12, 6, n_kv_heads=4)


def test_causal_mask_is_aligned_to_the_last_key() -> None:
    assert causal_mask(2, 4).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
