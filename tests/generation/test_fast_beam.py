import threading

import pytest
import torch
from tests.generation.models import wild
from torch import nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.generation import BeamSettings, generate_seq2seq, seq2seq
from hanmo.generation.beam_lanes import TILE
from hanmo.generation.beam_packing import beam_refusal, packed_decoder
from hanmo.generation.fast_beam import FastSteps
from hanmo.generation.seq2seq import searches_fast
from hanmo.models.families import FAMILIES
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt

SHAPE = {"vocab_size": 61, "d_model": 48, "n_heads": 3, "n_layers": 1, "n_decoder_layers": 2, "d_ff": 37, "eos_id": 7, "max_len": 60}  # fmt: skip
VARIANTS = {
    "tied": {},
    "untied, exact GELU": {"share_embeddings": False, "tie_embeddings": False, "activation": "gelu"},
    "two tiles and a bit, unscaled, SiLU": {
        "vocab_size": 2 * TILE + 37,
        "scale_embedding": False,
        "activation": "silu",
    },
    "one head, other sizes": {"n_heads": 2, "n_decoder_heads": 1, "d_model": 16, "n_layers": 2, "d_decoder_ff": 70},
}
SETTINGS = [
    {"num_beams": 5, "max_new_tokens": 40},
    {"num_beams": 3, "n": 3, "length_penalty": 0.0, "early_stopping": "never", "max_new_tokens": 20},
    {"num_beams": 4, "n": 2, "length_penalty": 2.0, "early_stopping": True, "max_new_tokens": 20, "min_new_tokens": 6},
    {"num_beams": 30, "n": 30, "length_penalty": -1.0, "max_new_tokens": 7},
]


def build(seed=4, family="marian", **changes):
    known = FAMILIES[family]
    shape = SHAPE | ({"d_head": 16} if family == "t5" else {}) | changes
    shape = {name: value for name, value in shape.items() if name in known.config.model_fields}
    return wild(known.architecture().build(known.config.model_validate(shape)), seed)


def sources(lengths=(9, 4, 1, 6, 3, 3, 7, 12, 11), seed=0):
    rng = torch.Generator().manual_seed(seed)
    mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
    return torch.randint(61, mask.shape, generator=rng), mask


def steps_of(model, ids, mask, n_best=6, banned=(), num_beams=3, limit=50):
    return FastSteps(model, ids, mask, num_beams=num_beams, n_best=n_best, limit=limit, banned_ids=banned)


@pytest.fixture
def calls(monkeypatch):
    """How often the kernels were asked to search."""
    made = []
    monkeypatch.setattr(seq2seq, "FastSteps", lambda *values, **named: made.append(1) or FastSteps(*values, **named))
    return made


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_the_texts_are_those_of_the_plain_road(name, settings, calls):
    model, (ids, mask), wanted = build(**VARIANTS[name]), sources(), BeamSettings(**settings)
    lengths, liked = set(), []
    for n_ends, banned in ((0, ()), (1, ()), (3, (3, 5))):
        ends = liked[:n_ends]
        expected = generate_seq2seq(model, ids, mask, wanted, eos_ids=ends, banned_ids=banned, fast=False)
        assert not calls
        found = generate_seq2seq(model, ids, mask, wanted, eos_ids=ends, banned_ids=banned)
        assert calls.pop()
        for ours, theirs in zip(found, expected, strict=True):
            assert [text.tokens for text in ours] == [text.tokens for text in theirs]
            assert [text.finish_reason for text in ours] == [text.finish_reason for text in theirs]
            assert [text.score for text in ours] == pytest.approx([text.score for text in theirs], rel=1e-5, abs=1e-5)
            lengths |= {len(text.tokens) for text in ours}
        liked = liked or list(dict.fromkeys(row[0].tokens[i] for i in (3, 5, 2) for row in expected))
        assert not any(set(banned) & set(text.tokens) for row in found for text in row)
    assert len(lengths) > 1  # some end before others


def test_each_step_is_that_of_the_whole_model():
    model, (ids, mask) = build(vocab_size=2 * TILE + 37), sources()
    mask[0, 2] = 0  # a hole
    steps, banned = steps_of(model, ids, mask, n_best=9, banned=(3, 5)), [3, 5]
    rng = torch.Generator().manual_seed(1)
    history, owners, given = torch.full((len(ids), 1), model.config.start_id), torch.arange(len(ids)), steps.first()
    for step in range(20):  # past the positions that there is room for at first
        with torch.no_grad():
            logits = model(ids[owners], mask[owners], decoder_input_ids=history).logits[:, -1]
        logits[:, banned] = -torch.inf
        best = logits.log_softmax(-1).topk(9)
        torch.testing.assert_close(given.logprobs, best.values, rtol=1e-5, atol=2e-5)
        assert (given.tokens == best.indices).float().mean() > 0.99
        n = len(owners)
        rows = torch.randint(n, (27 if step < 8 else n - 1,), generator=rng).sort().values
        tokens = torch.randint(60, (len(rows),), generator=rng)
        history = torch.cat((history[rows], tokens[:, None]), dim=1)
        owners, given = owners[rows], steps.next(rows, tokens)
    assert len(owners.unique()) < len(ids)


def test_bits_depend_neither_on_company_nor_on_threads():
    model, (ids, mask) = build(), sources()
    source = steps_of(model, ids, mask)._source
    before = torch.get_num_threads()

    def run(n_threads, chosen):
        torch.set_num_threads(n_threads)
        try:
            steps = steps_of(model, ids, mask)
        finally:
            torch.set_num_threads(before)
        steps._source = source  # the encoder's own last digits do depend on threads
        steps.first()
        rows = torch.tensor(chosen)
        steps.next(rows, rows % 3 + 10)
        return steps.next(torch.arange(len(rows)), rows % 4 + 20).logprobs

    whole = run(1, list(range(9)))
    assert torch.equal(run(2, list(range(9))), whole)
    assert torch.equal(run(3, list(range(9))), whole)
    assert torch.equal(run(2, [7, 2]), whole[[7, 2]])
    assert not torch.equal(whole[7], whole[2])


def test_a_source_of_padding_alone_gives_what_the_plain_road_gives(calls):
    model, (ids, mask) = build(), sources()
    mask[4] = 0
    settings = BeamSettings(num_beams=3, max_new_tokens=8)
    found, expected = (generate_seq2seq(model, ids, mask, settings, fast=fast) for fast in (True, False))
    assert calls
    assert [row[0].tokens for row in found] == [row[0].tokens for row in expected]


def test_changed_weights_are_noticed():
    model, (ids, mask) = build(), sources()
    first = steps_of(model, ids, mask).first()
    packed = packed_decoder(model)
    assert packed_decoder(model) is packed
    with torch.no_grad():
        model.decoder.layers[1].feedforward.inner.out.weight.mul_(-1.0)
    assert packed_decoder(model) is not packed
    changed = steps_of(model, ids, mask).first()
    assert not torch.equal(first.logprobs, changed.logprobs)
    with torch.no_grad():
        logits = model(ids, mask, decoder_input_ids=torch.full((len(ids), 1), model.config.start_id)).logits[:, -1]
    torch.testing.assert_close(changed.logprobs, logits.log_softmax(-1).topk(6).values, rtol=1e-5, atol=2e-5)


def test_few_sources_and_what_kernels_do_not_know_go_the_plain_road(calls):
    model, (ids, mask) = build(), sources()
    generate_seq2seq(model, ids[:3], mask[:3], BeamSettings(max_new_tokens=4))
    for settings in ({"repetition_penalty": 1.2}, {"no_repeat_ngram_size": 2}):
        assert not searches_fast(model, BeamSettings(**settings))
        generate_seq2seq(model, ids, mask, BeamSettings(max_new_tokens=4, **settings))
    assert not calls


def hooked(model):
    model.decoder.layers[0].register_forward_hook(lambda *_: None)
    return model


def with_a_norm_behind(model):
    model.decoder.norm = nn.LayerNorm(48)
    return model


def with_a_matrix_replaced(model):
    inner = model.decoder.layers[1].feedforward.inner
    inner.up = nn.Sequential(inner.up)
    return model


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: build(family="t5"), "positions are of another kind"),
        (lambda: build(family="hanmo-lstm-seq2seq"), "not an encoder and a stack"),
        (lambda: build(n_heads=4), "no whole registers"),
        (lambda: build().to(torch.bfloat16), "not all float32 on the CPU"),
        (lambda: hooked(build()), "hooks"),
        (lambda: with_a_matrix_replaced(build()), "replaced"),
        (lambda: with_a_norm_behind(build()), "norm follows"),
    ],
)
def test_models_that_kernels_do_not_know(make, reason, calls):
    model, (ids, mask) = make(), sources()
    refused = beam_refusal(model)
    assert refused is not None
    assert reason in refused
    generate_seq2seq(model, ids, mask, BeamSettings(max_new_tokens=3, num_beams=2))
    assert not calls


def test_nan_and_infinite_weights_are_an_error(calls):
    ids, mask = sources()
    for value in ("nan", "inf"):
        model = build()
        with torch.no_grad():
            model.decoder.layers[1].feedforward.norm.bias[3] = float(value)
        with pytest.raises(ModelError, match="not a number"):
            generate_seq2seq(model, ids, mask, BeamSettings(max_new_tokens=4))
    assert len(calls) == 2


def test_errors_are_those_of_the_plain_road(calls):
    model, (ids, mask) = build(), sources()
    with pytest.raises(ConfigError, match="outside the vocabulary of 61"):
        generate_seq2seq(model, ids + 60, mask, BeamSettings())
    assert len(calls) == 1


def test_the_context_ends_the_text_and_the_mode_is_left(calls):
    model, (ids, mask) = build(max_len=13, dropout=0.5).train(), sources()
    found = generate_seq2seq(model, ids, mask, BeamSettings(num_beams=2), eos_ids=())
    assert calls
    assert [len(row[0].tokens) for row in found] == [12] * len(ids)
    assert model.training
    assert found == generate_seq2seq(model, ids, mask, BeamSettings(num_beams=2), eos_ids=())


def test_threads_end_with_the_search():
    model, (ids, mask) = build(), sources()
    before = threading.active_count()
    for _ in range(3):
        generate_seq2seq(model, ids, mask, BeamSettings(max_new_tokens=3))
    assert threading.active_count() <= before + 2 * torch.get_num_threads()


def test_virtual_tokens_count(calls):
    model, (ids, mask), settings = build(), sources(), BeamSettings(num_beams=3, max_new_tokens=12)
    without = generate_seq2seq(model, ids, mask, settings)
    assert calls.pop()
    model.virtual = Prefix(4, n_layers=2, n_heads=3, d_head=16, of_decoder=True)
    nn.init.normal_(model.virtual.vectors, std=2.0)
    assert beam_refusal(model) == "it has virtual tokens"
    found = generate_seq2seq(model, ids, mask, settings)
    assert not calls
    assert [row[0].tokens for row in found] != [row[0].tokens for row in without]
    expected = generate_seq2seq(model, ids, mask, settings, fast=False)
    assert [row[0].tokens for row in found] == [row[0].tokens for row in expected]
    model.virtual = None
    model.encoder.virtual = SoftPrompt(torch.randn(2, 48))
    assert beam_refusal(model) == "it has virtual tokens"
