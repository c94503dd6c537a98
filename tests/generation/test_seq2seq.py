import pytest
import torch
from tests.generation.models import wild

from hanmo.core.errors import ConfigError, ModelError
from hanmo.generation import BeamSettings, GenerationSettings, decode_seq2seq, generate_seq2seq
from hanmo.models.families import FAMILIES
from hanmo.nn.attention import CrossAttention

SHAPES = {
    "t5": {"vocab_size": 61, "d_model": 20, "d_head": 5, "n_heads": 3, "n_layers": 1, "n_decoder_layers": 2, "eos_id": 7},
    "marian": {"vocab_size": 61, "d_model": 20, "n_heads": 2, "n_layers": 1, "n_decoder_layers": 2, "eos_id": 7, "max_len": 50, "share_embeddings": False, "tie_embeddings": False},
    "hanmo-lstm-seq2seq": {"vocab_size": 61, "d_model": 20, "eos_id": 7, "max_len": 50},
}  # fmt: skip


def build(name, **changes):
    family = FAMILIES[name]
    return wild(family.architecture().build(family.config.model_validate(SHAPES[name] | changes)), 4)


@pytest.fixture(params=list(SHAPES))
def model(request):
    return build(request.param)


def sources(lengths=(9, 4, 1, 6)):
    rng = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1] * n + [0] * (max(lengths) - n) for n in lengths])
    return torch.randint(61, mask.shape, generator=rng), mask


def plain_greedy(model, ids, mask, n_tokens, ends=()):
    """Everything anew for every token."""
    rows = []
    for source, real in zip(ids, mask, strict=True):
        target = [model.config.start_id]
        while len(target) <= n_tokens:
            with torch.no_grad():
                out = model(source[None, : int(real.sum())], decoder_input_ids=torch.tensor([target]))
            token = int(out.logits[0, -1].argmax())
            if token in ends:
                break
            target.append(token)
        rows.append(target[1:])
    return rows


def tokens_of(found):
    return [[text.tokens for text in row] for row in found]


def test_greedy_is_the_most_probable_token_each_time(model):
    ids, mask = sources()
    found = generate_seq2seq(model, ids, mask, GenerationSettings(max_new_tokens=15), eos_ids=())
    expected = plain_greedy(model, ids, mask, 15)
    assert tokens_of(found) == [[row] for row in expected]
    assert len({tuple(row) for row in expected}) > 1
    end = expected[0][6]
    found = generate_seq2seq(model, ids, mask, GenerationSettings(max_new_tokens=15), eos_ids={end})
    assert tokens_of(found) == [[row] for row in plain_greedy(model, ids, mask, 15, {end})]
    assert found[0][0].finish_reason == "stop"
    assert found == generate_seq2seq(build_again(model, eos_id=end), ids, mask, GenerationSettings(max_new_tokens=15))


def build_again(model, **changes):
    for name, family in FAMILIES.items():
        if type(model.config) is family.config:
            return build(name, **changes)
    raise AssertionError


def test_drawn_rows(model):
    ids, mask = sources()
    settings = GenerationSettings(max_new_tokens=12, temperature=1.0, seed=5, n=3)
    found = generate_seq2seq(model, ids, mask, settings)
    assert [len(row) for row in found] == [3, 3, 3, 3]
    assert found == generate_seq2seq(model, ids, mask, settings)
    assert len({tuple(text.tokens) for row in found for text in row}) > 8
    # a row draws the same whatever is beside it
    alone = decode_seq2seq(model, ids[1:2, :4], None, settings, first_row=3)
    list(alone)
    assert [row[1:] for row in alone.rows] == tokens_of(found)[1]


@pytest.mark.parametrize("beams", [False, True])
def test_padding_of_a_source_changes_nothing(model, beams):
    ids, mask = sources()
    settings = BeamSettings(num_beams=3, n=2, max_new_tokens=10) if beams else GenerationSettings(max_new_tokens=10)
    together = generate_seq2seq(model, ids, mask, settings)
    apart = [generate_seq2seq(model, row[None, : int(real.sum())], None, settings)[0] for row, real in zip(ids, mask, strict=True)]  # fmt: skip
    assert tokens_of(together) == tokens_of(apart)


@pytest.mark.parametrize("name", ["t5", "marian"])
@pytest.mark.parametrize("settings", [GenerationSettings(max_new_tokens=9, n=2), BeamSettings(num_beams=3, max_new_tokens=9)])  # fmt: skip
def test_the_source_is_read_once(name, settings, monkeypatch):
    model, (ids, mask) = build(name), sources()
    encoded, attended = [], []
    model.encoder.register_forward_hook(lambda *_: encoded.append(1))
    for part in model.modules():
        if isinstance(part, CrossAttention):
            part.kv.register_forward_hook(lambda _, inputs, __: attended.append(inputs[0].shape[0]))
    generate_seq2seq(model, ids, mask, settings, eos_ids=())
    assert len(encoded) == 1
    assert attended == [4, 4]  # once a layer, and once for all that share a source


def test_what_is_banned_is_not_written(model):
    ids, mask = sources()
    usual = generate_seq2seq(model, ids, mask, GenerationSettings(max_new_tokens=10), eos_ids=())
    banned = {usual[0][0].tokens[0], usual[1][0].tokens[2]}
    for settings in (
        GenerationSettings(max_new_tokens=10),
        GenerationSettings(max_new_tokens=10, temperature=1.0, seed=1),
        BeamSettings(num_beams=3, max_new_tokens=10),
    ):
        found = generate_seq2seq(model, ids, mask, settings, eos_ids=(), banned_ids=banned)
        assert not any(banned & set(text.tokens) for row in found for text in row)


def test_the_context_ends_the_text():
    model, (ids, mask) = build("marian", max_len=10), sources()
    for settings in (GenerationSettings(), BeamSettings(num_beams=2)):
        found = generate_seq2seq(model, ids, mask, settings, eos_ids=())
        assert [len(row[0].tokens) for row in found] == [9] * 4
        assert found[0][0].finish_reason == "length"


def test_dropout_is_off_and_the_mode_is_left():
    model, (ids, mask) = build("t5", dropout=0.5).train(), sources()
    one, two = (generate_seq2seq(model, ids, mask, GenerationSettings(max_new_tokens=8)) for _ in range(2))
    assert one == two
    assert model.training


def test_what_cannot_be(model):
    ids, mask = sources()
    with pytest.raises(ConfigError, match="outside the vocabulary of 61"):
        generate_seq2seq(model, ids + 60, mask)
    with pytest.raises(ConfigError, match="nothing to do"):
        generate_seq2seq(model, ids[:, :0], mask[:, :0])
    with pytest.raises(ConfigError, match="stop strings need a tokenizer"):
        generate_seq2seq(model, ids, mask, GenerationSettings(stop=("x",)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    for settings in (GenerationSettings(), BeamSettings()):
        with pytest.raises(ModelError, match="not a number"):
            generate_seq2seq(model, ids, mask, settings)
