"""Positions of encoder-decoders: relative bias and waves; cross-attention with a cache and with shared sources."""

from __future__ import annotations

import math

import pytest
import torch
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding
from transformers.models.t5.modeling_t5 import T5Attention

from hanmo.core.errors import ConfigError
from hanmo.nn.attention import CrossAttention
from hanmo.nn.cache import GrowingCache, Seq2SeqCache, SourceCache
from hanmo.nn.context import Context
from hanmo.nn.losses import chunked_cross_entropy, cross_entropy
from hanmo.nn.relative_bias import RelativeBias, biased_mask, distance_buckets
from hanmo.nn.sinusoids import Sinusoidal, SinusoidalEmbedding, sinusoids


@pytest.mark.parametrize("both_ways", [False, True])
@pytest.mark.parametrize(("n_buckets", "max_distance"), [(32, 128), (8, 20), (12, 33), (7, 50), (4, 3), (64, 1000)])
def test_buckets_are_those_of_transformers(n_buckets: int, max_distance: int, both_ways: bool) -> None:
    distance = torch.arange(-1500, 1501)
    ours = distance_buckets(distance, n_buckets=n_buckets, max_distance=max_distance, both_ways=both_ways)
    theirs = T5Attention._relative_position_bucket(distance, both_ways, n_buckets, max_distance)
    assert torch.equal(ours, theirs)
    assert ours.min() == 0
    assert ours.max() < n_buckets


def test_buckets_by_hand() -> None:
    distance = torch.tensor([0, -1, -7, -15, -16, -100, -5000, 1, 9])
    one_way = distance_buckets(distance, n_buckets=32, max_distance=128, both_ways=False)
    assert one_way.tolist() == [0, 1, 7, 15, 16, 30, 31, 0, 0]
    both = distance_buckets(distance, n_buckets=32, max_distance=128, both_ways=True)
    assert both.tolist() == [0, 1, 7, 9, 10, 15, 15, 17, 24]


@pytest.mark.parametrize("both_ways", [False, True])
def test_queries_are_the_last_positions(both_ways: bool) -> None:
    bias = RelativeBias(8, 3, max_distance=20, both_ways=both_ways)
    full = bias(40, 40)
    assert full.shape == (1, 3, 40, 40)
    for n_queries in (1, 7):
        assert torch.equal(bias(n_queries, 40), full[:, :, -n_queries:])
    # the same distance, the same number
    assert torch.equal(full[:, :, 1:, 1:], full[:, :, :-1, :-1])
    assert torch.equal(bias(5, 5)[0, :, 4, 2], bias.weight[2])


def test_bias_and_mask() -> None:
    bias = RelativeBias(8, 2, max_distance=20, both_ways=True)
    mask = torch.tensor([[True, True, False], [True, False, True]])[:, None, None]
    both = biased_mask(bias(3, 3), mask)
    assert both.shape == (2, 2, 3, 3)
    assert (both[1, :, :, 1] == -math.inf).all()
    assert torch.equal(both[1, :, :, 2], bias(3, 3)[0, :, :, 2])
    assert biased_mask(bias(3, 3), None).requires_grad


@pytest.mark.parametrize(("n_buckets", "max_distance", "both_ways"), [(1, 9, False), (3, 9, True), (32, 8, True), (32, 16, False)])  # fmt: skip
def test_buckets_that_cannot_be(n_buckets: int, max_distance: int, both_ways: bool) -> None:
    with pytest.raises(ConfigError, match=f"{n_buckets} buckets do not reach"):
        RelativeBias(n_buckets, 2, max_distance=max_distance, both_ways=both_ways)


@pytest.mark.parametrize("width", [1, 2, 7, 10, 64])
def test_waves_are_those_of_transformers(width: int) -> None:
    theirs = MarianSinusoidalPositionalEmbedding(300, width).create_weight()
    assert (sinusoids(300, width) - theirs).abs().max() <= 1e-6
    assert sinusoids(3, width)[0, 0] == 0


def test_waves_of_an_embedding() -> None:
    embedding = SinusoidalEmbedding(11, 6, max_len=9, scale=2.0, pad_id=3)
    ids = torch.tensor([[1, 3, 5]])
    expected = embedding.token(ids) * 2 + sinusoids(9, 6)[4:7]
    torch.testing.assert_close(embedding(ids, offset=4), expected)
    torch.testing.assert_close(embedding(None, embedding.token(ids) * 2, offset=4), expected)
    embedding(ids).sum().backward()
    assert (embedding.token.weight.grad[3] == 0).all()
    assert (embedding.token.weight.grad[5] == 2).all()
    with pytest.raises(ConfigError, match="10 positions, but this model is made for 9"):
        embedding(ids, offset=7)
    assert embedding.to(torch.bfloat16)(ids).dtype == torch.bfloat16
    assert Sinusoidal(9, 6)(0, 9, torch.device("cpu")).dtype == torch.float32


def test_cross_attention_computes_its_source_once() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(10, 2, d_source=6)
    source, x = torch.randn(3, 5, 6), torch.randn(3, 4, 10)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()[:, None, None]
    expected = attention(x, Context(source=source, source_mask=mask), 0)
    cache = SourceCache()
    first = attention(x[:, :3], Context(source=source, source_mask=mask, source_cache=cache), 0)
    assert cache.shape == (3, 5)
    rest = attention(x[:, 3:], Context(source_mask=mask, source_cache=cache), 0)
    torch.testing.assert_close(torch.cat((first, rest), 1), expected)
    assert torch.isfinite(expected).all()
    with pytest.raises(ConfigError, match="nothing to look at"):
        attention(x, Context(source_cache=cache), 1)


@pytest.mark.parametrize("length", [1, 4])
def test_rows_that_share_a_source(length: int) -> None:
    torch.manual_seed(0)
    attention = CrossAttention(10, 2)
    source, x = torch.randn(2, 5, 10), torch.randn(6, length, 10)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()[:, None, None]
    shared = attention(x, Context(source=source, source_mask=mask), 0)
    apart = attention(x, Context(source=source.repeat_interleave(3, 0), source_mask=mask.repeat_interleave(3, 0)), 0)
    torch.testing.assert_close(shared, apart)


def test_selecting_rows_keeps_their_sources() -> None:
    cache = Seq2SeqCache()
    cache.own.update(0, *(torch.arange(6.0)[:, None, None, None].expand(6, 1, 2, 3) for _ in "kv"))
    cache.advance(2)
    cache.source.put(0, *(torch.arange(3.0)[:, None, None, None].expand(3, 1, 4, 3) for _ in "kv"))
    cache.source.mask = torch.arange(3)[:, None].expand(3, 4)
    cache.select(torch.tensor([1, 0, 1, 4, 4, 5]))  # from two rows a source to three, the middle source gone
    assert cache.own.keys[0][:, 0, 0, 0].tolist() == [1, 0, 1, 4, 4, 5]
    assert cache.source.get(0)[0][:, 0, 0, 0].tolist() == [0, 2]
    assert cache.source.mask[:, 0].tolist() == [0, 2]
    assert cache.length == 2
    assert isinstance(cache.own, GrowingCache)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_both_losses_take_a_bias(dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=rng).to(dtype).requires_grad_() for shape in ((90, 5), (37, 5), (37,))]
    labels = torch.randint(37, (90,), generator=rng)
    labels[::7] = -100
    results = []
    for form in (cross_entropy, chunked_cross_entropy):
        hidden, weight, bias = inputs
        loss = form(hidden, weight, labels, reduction="mean", bias=bias)
        results.append((loss, *torch.autograd.grad(loss, inputs)))
    for one, other in zip(*results, strict=True):
        tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-6
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)
    plain = torch.nn.functional.cross_entropy((inputs[0] @ inputs[1].T + inputs[2]).float(), labels)
    torch.testing.assert_close(results[0][0].float(), plain, atol=2e-2 if dtype == torch.bfloat16 else 1e-5, rtol=0)
