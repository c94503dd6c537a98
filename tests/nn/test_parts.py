"""Positions, norms, feed-forward, blocks, stacks, caches, masks, outputs."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.block import Block, PostNorm, PreNorm
from hanmo.nn.cache import GrowingCache, StaticCache
from hanmo.nn.context import Context
from hanmo.nn.feedforward import ACTIVATIONS, FeedForward, GatedFeedForward
from hanmo.nn.init import init_normal, init_residual_outputs
from hanmo.nn.masks import combine, packed_mask, packed_texts, padding_mask, positions_from_padding
from hanmo.nn.norms import LayerNorm, RMSNorm
from hanmo.nn.outputs import CausalLMOutput
from hanmo.nn.positions import LearnedPositions, Rotary, rotate
from hanmo.nn.stack import Stack

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=25)
@given(shift=st.integers(0, 500), base=st.sampled_from([100.0, 10_000.0, 500_000.0]))
def test_rotary_scores_depend_on_distance_only(shift: int, base: float) -> None:
    rng = torch.Generator().manual_seed(shift)
    q, k = torch.randn(1, 9, 2, 8, generator=rng), torch.randn(1, 9, 2, 8, generator=rng)
    rotary = Rotary(8, base)

    def scores(offset: int) -> torch.Tensor:
        angles = rotary(None, 9, offset, CPU)
        return torch.einsum("bthk,bshk->bhts", rotate(q, angles), rotate(k, angles))

    torch.testing.assert_close(scores(0), scores(shift), atol=2e-4, rtol=0)
    unturned = torch.einsum("bthk,bshk->bhts", q, k)
    assert (scores(0) - unturned).abs().max() > 1e-2


def test_rotary_by_complex_numbers() -> None:
    x = torch.randn(1, 5, 1, 6)
    turned = rotate(x, Rotary(6, 50.0)(None, 5, 2, CPU))
    pairs = torch.complex(x[..., :3], x[..., 3:])
    angles = torch.arange(2, 7)[:, None] * 50.0 ** (-torch.arange(3) / 3)
    expected = pairs * torch.polar(torch.ones(5, 3), angles)[None, :, None]
    torch.testing.assert_close(turned, torch.cat((expected.real, expected.imag), -1))
    with pytest.raises(ConfigError, match="even d_head"):
        Rotary(5)


def test_learned_positions_refuse_what_they_have_not_learned() -> None:
    positions = LearnedPositions(10, 4)
    assert torch.equal(positions(None, 3, 2), positions(torch.tensor([[2, 3, 4]]), 3)[0])
    with pytest.raises(ConfigError, match="11 positions, but this model has learned 10"):
        positions(None, 4, 7)
    with pytest.raises(ConfigError, match="13 positions"):
        positions(torch.tensor([[12]]), 1)
    with pytest.raises(ConfigError, match="position -1 is negative"):
        positions(torch.tensor([[-1]]), 1)


def test_norms_follow_their_equations() -> None:
    x = torch.randn(3, 7) * 4 + 1
    layer, rms = LayerNorm(7, eps=1e-3), RMSNorm(7, eps=1e-3)
    nn.init.normal_(layer.weight)
    nn.init.normal_(rms.weight)
    spread = (x.var(-1, keepdim=True, unbiased=False) + 1e-3).sqrt()
    torch.testing.assert_close(layer(x), (x - x.mean(-1, keepdim=True)) / spread * layer.weight)
    torch.testing.assert_close(rms(x), x / (x.pow(2).mean(-1, keepdim=True) + 1e-3).sqrt() * rms.weight)
    assert LayerNorm(7, bias=False).bias is None
    assert rms(x.bfloat16()).dtype == torch.bfloat16


def test_feedforward_forms() -> None:
    x = torch.randn(2, 5)
    plain, gated = FeedForward(5, 9, activation="gelu_tanh"), GatedFeedForward(5, 9, activation="silu")
    torch.testing.assert_close(
        plain(x),
        F.gelu(x @ plain.up.weight.T + plain.up.bias, approximate="tanh") @ plain.out.weight.T + plain.out.bias,
    )
    gate, up = gated.gate_up.weight.split(9)
    torch.testing.assert_close(gated(x), (F.silu(x @ gate.T) * (x @ up.T)) @ gated.out.weight.T)
    z = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(ACTIVATIONS["quick_gelu"](z), z * torch.sigmoid(1.702 * z))
    torch.testing.assert_close(
        ACTIVATIONS["gelu_tanh"](z), 0.5 * z * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    )
    compiled = torch.compile(ACTIVATIONS["gelu_tanh"], backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(z), ACTIVATIONS["gelu_tanh"](z))
    with pytest.raises(ConfigError, match="unknown activation 'gleu'"):
        FeedForward(5, 9, activation="gleu")


def make_block(placement: type[PreNorm] | type[PostNorm] = PreNorm, *, cross: bool = False) -> Block:
    return Block(
        attention=placement(SelfAttention(8, 2), LayerNorm(8)),
        cross_attention=placement(CrossAttention(8, 2), LayerNorm(8)) if cross else None,
        feedforward=placement(FeedForward(8, 12, activation="relu"), LayerNorm(8)),
    )


def test_norm_before_and_after() -> None:
    x, inner, norm = torch.randn(2, 3, 8), nn.Linear(8, 8), LayerNorm(8)
    torch.testing.assert_close(PreNorm(inner, norm)(x), x + inner(norm(x)))
    torch.testing.assert_close(PostNorm(inner, norm)(x), norm(x + inner(x)))
    dropped = PreNorm(inner, norm, dropout=0.9)
    assert not torch.equal(dropped(x), dropped(x))
    assert torch.equal(dropped.eval()(x), PreNorm(inner, norm)(x))


def test_encoder_decoder_is_a_composition() -> None:
    torch.manual_seed(0)
    encoder = Stack([make_block(PostNorm) for _ in range(2)])
    decoder = Stack([make_block(PostNorm, cross=True) for _ in range(2)])
    source, x = torch.randn(1, 5, 8, requires_grad=True), torch.randn(1, 4, 8)
    y = decoder(x, Context(causal=True, source=encoder(source, Context())))
    (grad,) = torch.autograd.grad(y[:, 0, 0].sum(), source)  # a sum over the width is 0 after a norm
    assert (grad.abs().sum(-1) > 0).all()  # each source position reaches the first target position


def test_shared_layers_are_one_set_of_weights() -> None:
    torch.manual_seed(0)
    block = make_block()
    shared = Stack([block], order=[0, 0, 0])
    x, context = torch.randn(1, 3, 8), Context(causal=True)
    assert torch.equal(shared(x, context), block(block(block(x, context, 0), context, 1), context, 2))
    assert sum(p.numel() for p in shared.parameters()) == sum(p.numel() for p in block.parameters())
    assert len(shared.state_dict()) == len(block.state_dict())
    cache = GrowingCache()  # each depth has its own keys, although the weights are one
    steps = []
    for t in range(3):
        steps.append(shared(x[:, t : t + 1], Context(causal=True, cache=cache)))
        cache.advance(1)
    torch.testing.assert_close(torch.cat(steps, 1), shared(x, context), atol=1e-6, rtol=1e-5)


@settings(deadline=None, max_examples=20)
@given(chunks=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_caches_hold_what_they_were_given(chunks: list[int]) -> None:
    total = sum(chunks)
    k, v = torch.randn(2, 2, 3, total, 4), torch.randn(2, 2, 3, total, 4)
    for cache in (GrowingCache(), StaticCache(2, 2, 3, total, 4)):
        start = 0
        for size in chunks:
            end = start + size
            for layer in (0, 1):
                keys, values = cache.update(layer, k[layer, :, :, start:end], v[layer, :, :, start:end])
                assert torch.equal(keys, k[layer, :, :, :end])
                assert torch.equal(values, v[layer, :, :, :end])
            assert cache.length == start
            cache.advance(size)
            start = end
        assert cache.length == total


def test_a_pass_that_fails_leaves_the_cache_as_it_was() -> None:
    k = torch.randn(1, 1, 5, 2)
    for cache in (GrowingCache(), StaticCache(2, 1, 1, 5, 2)):
        for layer in (0, 1):
            cache.update(layer, k[:, :, :2], k[:, :, :2])
        cache.advance(2)
        cache.update(0, k[:, :, :1], k[:, :, :1])  # ... and the second layer fails
        for layer in (0, 1):
            keys, _ = cache.update(layer, k[:, :, 2:4], k[:, :, 2:4])
            assert torch.equal(keys, k[:, :, :4])


def test_caches_refuse_what_does_not_fit() -> None:
    k = torch.randn(1, 1, 3, 2)
    cache = StaticCache(1, 1, 1, 4, 2)
    cache.update(0, k, k)
    cache.advance(3)
    with pytest.raises(ConfigError, match="6 positions do not fit into a cache of 4"):
        cache.update(0, k, k)
    cache.reset()
    assert cache.length == 0
    cache.update(0, k, k)
    with pytest.raises(ConfigError, match="holds 1 rows, the input has 2"):
        cache.update(0, k.expand(2, -1, -1, -1), k)
    with pytest.raises(ConfigError, match="carries no gradients"):
        cache.update(0, k.clone().requires_grad_(), k)
    growing = GrowingCache()
    growing.update(0, k, k)
    growing.advance(3)
    with pytest.raises(ConfigError, match="holds 1 rows, the input has 2"):
        growing.update(0, k.expand(2, -1, -1, -1), k)


def test_masks() -> None:
    attention = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]])
    mask = padding_mask(attention, 2, 4)
    assert mask is not None
    assert mask.shape == (2, 1, 1, 4)
    assert padding_mask(torch.ones(2, 4), 2, 4) is None
    assert positions_from_padding(attention).tolist() == [[0, 0, 0, 1], [0, 1, 2, 2]]
    with pytest.raises(ConfigError, match=r"shape \(2, 4\), expected \(3, 4\)"):
        padding_mask(attention, 3, 4)
    packed = packed_mask(packed_texts(torch.tensor([[0, 1, 0, 1, 2]])))
    assert packed is not None
    assert packed[0, 0].int().tolist() == [[1, 1, 0, 0, 0]] * 2 + [[0, 0, 1, 1, 1]] * 3
    assert packed_mask(packed_texts(torch.arange(4)[None] + 3)) is None
    assert combine(None, None) is None
    assert combine(mask, None, ~mask).any() == torch.tensor(False)


def test_initial_values() -> None:
    torch.manual_seed(0)
    stack = Stack(
        [
            Block(
                attention=PreNorm(SelfAttention(64, 2), LayerNorm(64)),
                feedforward=PreNorm(FeedForward(64, 128, activation="gelu"), LayerNorm(64)),
            )
            for _ in range(4)
        ]
    )
    for parameter in stack.parameters():
        nn.init.constant_(parameter, 7.0)
    init_normal(stack, 0.02)
    init_residual_outputs(stack, 0.02, 8)
    for name, parameter in stack.named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all()
        elif name.endswith("bias"):
            assert (parameter == 0).all()
        else:
            std = 0.02 / math.sqrt(8) if ".out." in name else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.1), name


def test_output_reads_like_an_object_a_dict_and_a_tuple() -> None:
    logits = torch.zeros(1)
    out = CausalLMOutput(logits=logits, last_hidden_state=torch.ones(1))
    assert out["logits"] is out[0] is out.logits is logits
    assert list(out) == out.keys() == ["logits", "last_hidden_state"]
    assert len(out) == 2
    assert "loss" not in out
    assert out.loss is None
    with pytest.raises(KeyError):
        out["loss"]
