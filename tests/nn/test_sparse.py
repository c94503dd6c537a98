"""Sparse attention: the block form equals the dense form, sees what it says, and costs what it says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.nn.attention import SelfAttention, attention_plain
from hanmo.nn.context import Context
from hanmo.nn.sparse import BlockSparse, Layout, LocalGlobal, SlidingWindow, SparsePattern, attention_blocks

PATTERNS = {
    "window 1": SlidingWindow(window=1),
    "window 5": SlidingWindow(window=5),
    "window 70": SlidingWindow(window=70),
    "window past the end": SlidingWindow(window=500),
    "global 1": LocalGlobal(window=3),
    "global 40": LocalGlobal(window=6, n_global=40),
    "band": BlockSparse(block_size=7),
    "own block": BlockSparse(block_size=5, offsets=(0,)),
    "strided": BlockSparse(block_size=3, offsets=(0, 1, 4, 9)),
}
LENGTHS = [1, 2, 31, 33, 64, 131]


def make_qkv(length: int, n_heads: int = 4, n_kv_heads: int = 4, rows: int = 3) -> list[Tensor]:
    rng = torch.Generator().manual_seed(length)
    shapes = [(rows, n_heads, length, 6), (rows, n_kv_heads, length, 6), (rows, n_kv_heads, length, 6)]
    return [torch.randn(shape, generator=rng, requires_grad=True) for shape in shapes]


def make_padding(kind: str, length: int) -> Tensor | None:
    if kind == "none":
        return None
    real = torch.ones(3, length, dtype=torch.bool)
    cut = length // 3
    if kind == "left":
        real[1, :cut] = False
    elif kind == "right":
        real[1, length - cut :] = False
    else:
        real[1] = torch.rand(length, generator=torch.Generator().manual_seed(1)) < 0.6
    real[2] = kind != "left"  # a row without any token
    return real


@pytest.mark.parametrize("padding", ["none", "left", "right", "holes"])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("name", list(PATTERNS))
def test_blocks_and_mask_agree(name: str, causal: bool, padding: str) -> None:
    pattern = PATTERNS[name]
    for length in LENGTHS:
        n_kv_heads = (1, 2, 4)[length % 3]
        qkv = make_qkv(length, n_kv_heads=n_kv_heads)
        layout = Layout(causal=causal, real=make_padding(padding, length))
        dense = attention_plain(*qkv, mask=pattern.mask(length, length, layout), scale=0.4)
        blocks = attention_blocks(*qkv, pattern, layout, scale=0.4)
        weights = torch.randn(dense.shape, generator=torch.Generator().manual_seed(0))
        expected = (dense, *torch.autograd.grad((dense * weights).sum(), qkv))
        found = (blocks, *torch.autograd.grad((blocks * weights).sum(), qkv))
        for one, other in zip(found, expected, strict=True):
            assert torch.isfinite(one).all()
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_another_pattern_gives_another_result() -> None:
    q, k, v = make_qkv(40)
    one, other = (attention_blocks(q, k, v, SlidingWindow(window=width), Layout(causal=True)) for width in (5, 6))
    assert torch.equal(one[:, :, :5], other[:, :, :5])
    assert (one - other).abs()[:, :, 5:].amax(dim=(1, 3)).min() > 1e-3


def seen(pattern: SparsePattern, length: int, causal: bool, **layout: Any) -> list[str]:
    mask = pattern.mask(length, length, Layout(causal=causal, **layout))
    return ["".join(".x"[int(flag)] for flag in row) for row in mask[0, 0]]


def test_what_each_pattern_sees() -> None:
    assert seen(SlidingWindow(window=2), 4, True) == ["x...", "xx..", ".xx.", "..xx"]
    assert seen(SlidingWindow(window=2), 4, False) == ["xx..", "xxx.", ".xxx", "..xx"]
    assert seen(LocalGlobal(window=1, n_global=1), 4, True) == ["x...", "xx..", "x.x.", "x..x"]
    assert seen(LocalGlobal(window=1, n_global=1), 4, False) == ["xxxx", "xx..", "x.x.", "x..x"]
    assert seen(BlockSparse(block_size=2), 6, True) == ["x.....", "xx....", "xxx...", "xxxx..", "..xxx.", "..xxxx"]
    assert seen(BlockSparse(block_size=1, offsets=(0, 2)), 4, False) == ["x.x.", ".x.x", "x.x.", ".x.x"]


def test_padding_and_packed_texts_do_not_shift_a_pattern() -> None:
    pattern = BlockSparse(block_size=2, offsets=(0,))
    padded = seen(pattern, 5, False, real=torch.tensor([[False, True, True, True, True]]))
    assert padded == [".....", ".xx..", ".xx..", "...xx", "...xx"]
    hole = seen(SlidingWindow(window=2), 5, True, real=torch.tensor([[True, True, False, False, True]]))
    assert hole == ["x....", "xx...", ".....", ".....", ".x..x"]
    packed = seen(LocalGlobal(window=1, n_global=1), 5, True, texts=torch.tensor([[0, 0, 0, 1, 1]]))
    assert packed == ["x....", "xx...", "x.x..", "...x.", "...xx"]
    assert seen(pattern, 5, False, texts=torch.tensor([[0, 0, 0, 1, 1]]))[3:] == ["...xx", "...xx"]


@pytest.mark.parametrize("name", list(PATTERNS))
def test_late_queries_see_what_they_see_among_all(name: str) -> None:
    layout = Layout(causal=True, real=make_padding("holes", 33))
    whole = PATTERNS[name].mask(33, 33, layout)
    for n_queries in (1, 2, 20):
        assert torch.equal(PATTERNS[name].mask(n_queries, 33, layout), whole[:, :, -n_queries:])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("name", ["window 5", "window 70", "global 40", "strided"])
def test_pairs_that_are_compared_grow_with_the_length_only(
    name: str, causal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = []
    fused = F.scaled_dot_product_attention

    def counted(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        pairs.append(q.shape[0] * q.shape[2] * k.shape[2])
        return fused(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    costs = []
    for length in (1024, 2048, 4096):
        pairs.clear()
        attention_blocks(*make_qkv(length, 1, 1, 1), PATTERNS[name], Layout(causal=causal))
        costs.append(sum(pairs))
        assert PATTERNS[name].worth_blocks(length, length, Layout(causal=causal))
    assert costs[1] / costs[0] == pytest.approx(2, rel=0.02)
    assert costs[2] / costs[1] == pytest.approx(2, rel=0.02)


def test_short_inputs_and_steps_of_decoding_take_the_dense_form() -> None:
    pattern, layout = SlidingWindow(window=64), Layout(causal=True)
    assert pattern.worth_blocks(1000, 1000, layout)
    assert not pattern.worth_blocks(100, 100, layout)
    assert not pattern.worth_blocks(1, 1000, layout)
    assert not pattern.worth_blocks(1000, 1000, Layout(causal=True, texts=torch.zeros(1, 1000, dtype=torch.int64)))


def test_a_layer_takes_either_form_with_one_result(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = SelfAttention(12, 6, n_kv_heads=2, pattern=SlidingWindow(window=9))
    x, real = torch.randn(2, 150, 12), torch.ones(2, 150, dtype=torch.bool)
    real[1, :30] = False
    for layout in (Layout(causal=True), Layout(causal=False, real=real)):
        context = Context(layout=layout)
        blocks = layer(x, context, 0)
        with monkeypatch.context() as patch:
            patch.setattr(SlidingWindow, "worth_blocks", lambda *_: False)
            torch.testing.assert_close(layer(x, context, 0), blocks, atol=1e-5, rtol=0)
        changed = x.clone()
        changed[:, 100] += 1
        moved = (layer(changed, context, 0) - blocks).abs().amax(-1)
        assert (moved[:, 109:] == 0).all()
        assert (moved[:, 100:109] > 0).all()
        assert (moved[:, 92:100] > 0).all() != layout.causal


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    q, k, v = (x.detach().expand(4000, -1, -1, -1) for x in make_qkv(20, 1, 1, 1))
    pattern, layout = LocalGlobal(window=3), Layout(causal=False)
    draws = attention_blocks(q, k, v, pattern, layout, dropout=0.4)
    assert not torch.equal(draws[0], draws[1])
    torch.testing.assert_close(draws.mean(0), attention_blocks(q, k, v, pattern, layout)[0], atol=0.08, rtol=0)


@pytest.mark.parametrize(
    ("kind", "values", "match"),
    [
        (SlidingWindow, {"window": 0}, "window"),
        (LocalGlobal, {"window": 4, "n_global": 0}, "n_global"),
        (BlockSparse, {"block_size": 0}, "block_size"),
        (BlockSparse, {"block_size": 4, "offsets": ()}, "must rise from 0"),
        (BlockSparse, {"block_size": 4, "offsets": (1, 2)}, "must rise from 0"),
        (BlockSparse, {"block_size": 4, "offsets": (0, 3, 2)}, "must rise from 0"),
        (SlidingWindow, {"width": 4}, "width"),
    ],
)
def test_impossible_patterns_are_named(kind: type[SparsePattern], values: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        check_settings(kind, values)
