"""Attention of a recurrent decoder, against the formulas of the papers written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.nn.additive_attention import AdditiveAttention, DotAttention, GeneralAttention, attention_named
from hanmo.nn.recurrent_decoder import AttentiveDecoder, DecoderState

KINDS = ["additive", "dot", "general", "concat"]
MASK = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def score_of(attention: torch.nn.Module, q: Tensor, s: Tensor) -> Tensor:
    """One number from one query and one source vector."""
    if isinstance(attention, DotAttention):
        return q @ s
    if isinstance(attention, GeneralAttention):
        return q @ attention.source.weight @ s
    assert isinstance(attention, AdditiveAttention)
    joined = torch.cat((attention.query.weight, attention.source.weight), 1) @ torch.cat((q, s))
    return attention.score.weight[0] @ joined.tanh()


@pytest.mark.parametrize("kind", KINDS)
def test_the_formulas(kind) -> None:
    attention = attention_named(kind, 5, 5)
    query, values = torch.randn(3, 2, 5), torch.randn(3, 4, 5)
    context, weights = attention(query, attention.prepare(values, MASK))
    for b in range(2):
        real = MASK[b].bool()
        for t in range(2):
            scores = torch.stack([score_of(attention, query[b, t], s) for s in values[b, real]])
            torch.testing.assert_close(weights[b, t, real], scores.softmax(0))
            torch.testing.assert_close(context[b, t], scores.softmax(0) @ values[b, real])
    assert (weights[MASK[:, None].expand_as(weights) == 0] == 0).all()
    assert (context[2] == 0).all()  # no source: nothing, not NaN


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_mask_all_is_seen(kind) -> None:
    attention = attention_named(kind, 5, 5)
    query, values = torch.randn(2, 3, 5), torch.randn(2, 4, 5)
    one = attention(query, attention.prepare(values))
    two = attention(query, attention.prepare(values, torch.ones(2, 4)))
    torch.testing.assert_close(one.context, two.context)
    torch.testing.assert_close(one.weights.sum(-1), torch.ones(2, 3))


def test_gradients_of_rows_without_a_source_are_finite() -> None:
    attention = attention_named("additive", 5, 5)
    query, values = torch.randn(3, 2, 5, requires_grad=True), torch.randn(3, 4, 5, requires_grad=True)
    attention(query, attention.prepare(values, MASK)).context.sum().backward()
    assert torch.isfinite(query.grad).all()
    assert (values.grad[MASK == 0] == 0).all()


def test_widths_and_names() -> None:
    assert isinstance(attention_named("general", 5, 3), GeneralAttention)
    general = attention_named("general", 5, 3)
    assert general(torch.randn(1, 2, 5), general.prepare(torch.randn(1, 4, 3))).context.shape == (1, 2, 3)
    with pytest.raises(ConfigError, match="dot product of widths 5 and 3"):
        attention_named("dot", 5, 3)
    with pytest.raises(ConfigError, match="unknown attention 'cosine'"):
        attention_named("cosine", 5, 5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"shape \(3, 4\), expected \(3, 5\)"):
        general.prepare(torch.randn(3, 5, 3), MASK)


def make_decoder(kind: str, feeding: bool) -> AttentiveDecoder:
    attention = attention_named(kind, 6, 6)  # pyright: ignore[reportArgumentType]
    return AttentiveDecoder(6, 2, attention, ask_first=kind == "additive", input_feeding=feeding)


def started(decoder: AttentiveDecoder, values: Tensor, mask: Tensor | None) -> DecoderState:
    state = DecoderState()
    decoder.start(state, values, mask, values.mean(1))
    return state


@pytest.mark.parametrize(("kind", "feeding"), [("additive", True), ("dot", True), ("general", False)])
def test_decoder_steps_join(kind: str, feeding: bool) -> None:
    """Step by step, in pieces and at once; a later token changes nothing before it."""
    decoder = make_decoder(kind, feeding)
    y, values = torch.randn(3, 5, 6), torch.randn(3, 4, 6)
    full = decoder(y, started(decoder, values, MASK))
    for sizes in ([1] * 5, [2, 3]):
        state = started(decoder, values, MASK)
        parts = [decoder(part, state) for part in y.split(sizes, 1)]
        torch.testing.assert_close(torch.cat(parts, 1), full, atol=1e-6, rtol=1e-5)
        assert state.length == 5
    changed = y.clone()
    changed[:, 3] += 1
    assert torch.equal(decoder(changed, started(decoder, values, MASK))[:, :3], full[:, :3])
    rows = torch.tensor([2, 0, 0])
    state = started(decoder, values, MASK)
    decoder(y[:, :2], state)
    state.select(rows)
    torch.testing.assert_close(decoder(y[rows, 2:], state), full[rows, 2:], atol=1e-6, rtol=1e-5)


def test_orders_differ_as_the_papers_do() -> None:
    """Bahdanau asks with the state before the token, Luong with the one after it."""
    values = torch.randn(1, 4, 6)
    y = torch.randn(1, 1, 6)
    for kind, seen in (("additive", False), ("concat", True)):
        decoder = make_decoder(kind, True)
        asked: list[Tensor] = []
        plain = decoder.attention.scores

        def spy(query: Tensor, keys: Tensor, plain=plain, asked=asked) -> Tensor:
            asked.append(query)
            return plain(query, keys)

        decoder.attention.scores = spy  # pyright: ignore[reportAttributeAccessIssue]
        decoder(y, started(decoder, values, None))
        decoder(y + 1, started(decoder, values, None))
        assert (not torch.equal(asked[0], asked[1])) == seen
