"""What must hold for every encoder-decoder, whatever other libraries do."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.seq2seq import Seq2SeqLM, shift_right
from hanmo.models.t5 import MT5Config, T5Config, t5
from hanmo.models.transformer import TransformerConfig, transformer
from hanmo.nn import attention
from hanmo.nn.cache import GrowingCache, Seq2SeqCache

VOCAB = 101
SHAPES: dict[str, dict[str, Any]] = {
    "t5": {"d_head": 5, "n_buckets": 8, "max_distance": 20},
    "t5 1.1": {"d_head": 7, "gated": True, "activation": "gelu_tanh", "tie_embeddings": False},
    "mt5": {"d_head": 5, "activation": "silu"},
    "marian": {"n_decoder_heads": 3, "d_decoder_ff": 30},
    "marian apart": {"share_embeddings": False, "decoder_vocab_size": 89, "tie_embeddings": False, "scale_embedding": False},
}  # fmt: skip


def build(name: str, **more: Any) -> Seq2SeqLM:
    torch.manual_seed(0)
    family = FAMILIES[name.split()[0]]
    shape = {"vocab_size": VOCAB, "d_model": 36, "n_layers": 2, "n_decoder_layers": 3, "n_heads": 6, "d_ff": 50}
    places = {"max_len": 64} if family.model_type == "marian" else {}
    return family.architecture().build(family.config.model_validate(shape | places | SHAPES[name] | more))


def vocab_of(model: Seq2SeqLM) -> int:
    return model.head_weight.shape[0]


@pytest.fixture(params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> Seq2SeqLM:
    """With weights large enough that everything matters."""
    model = build(name).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


@pytest.fixture(params=["fused", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(attention, "attention", attention.attention_plain)
    return request.param


def random_ids(rows: int, length: int, vocab_size: int = 89, seed: int = 3) -> Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_future_is_invisible(model: Seq2SeqLM, form: str, dtype: torch.dtype) -> None:
    model.to(dtype)
    source, target = random_ids(2, 11), random_ids(2, 19, seed=4)
    mask = torch.ones_like(target)
    mask[1, :3] = 0
    for arguments in ({}, {"decoder_attention_mask": mask}):
        before = model(source, decoder_input_ids=target, **arguments).logits
        for t in (1, 9, 18):
            changed = target.clone()
            changed[:, t:] = (changed[:, t:] + 1) % 89
            after = model(source, decoder_input_ids=changed, **arguments).logits
            assert torch.equal(after[:, :t], before[:, :t])
            assert not torch.equal(after[:, t], before[:, t])


@torch.no_grad()
def test_all_of_the_source_is_seen(model: Seq2SeqLM) -> None:
    source, target = random_ids(1, 7), random_ids(1, 4)
    before = model(source, decoder_input_ids=target).logits
    for s in range(7):
        changed = source.clone()
        changed[:, s] = (changed[:, s] + 1) % 89
        after = model(changed, decoder_input_ids=target).logits
        assert (after != before).any(-1).all()


@torch.no_grad()
def test_padding_changes_nothing(name: str, model: Seq2SeqLM, form: str) -> None:
    padding_changes_nothing(model, "right")
    if not name.startswith("marian"):  # whose positions count padding
        padding_changes_nothing(model, "left")


def padding_changes_nothing(model: Seq2SeqLM, side: str) -> None:
    text, other, target = random_ids(1, 9), random_ids(1, 14, seed=5), random_ids(2, 6)
    padding = torch.full((1, 5), 17)
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    mask = torch.ones(2, 14, dtype=torch.int64)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    out = model(torch.cat((row, other)), attention_mask=mask, decoder_input_ids=target)
    torch.testing.assert_close(out.logits[0], model(text, decoder_input_ids=target[:1]).logits[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(out.logits[1], model(other, decoder_input_ids=target[1:]).logits[0], atol=1e-5, rtol=0)
    short = torch.cat((target[:, :4], padding[:, :2].expand(2, -1)), 1)
    target_mask = torch.tensor([[1, 1, 1, 1, 0, 0]] * 2)
    padded = model(
        torch.cat((row, other)), attention_mask=mask, decoder_input_ids=short, decoder_attention_mask=target_mask
    )
    torch.testing.assert_close(padded.logits[:, :4], out.logits[:, :4], atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_do_not_see_each_other(model: Seq2SeqLM) -> None:
    source, target, order = random_ids(5, 12), random_ids(5, 8, seed=4), torch.tensor([3, 1, 4, 0, 2])
    permuted = model(source[order], decoder_input_ids=target[order]).logits
    torch.testing.assert_close(permuted, model(source, decoder_input_ids=target).logits[order], atol=1e-5, rtol=0)


def test_rows_without_any_token_give_no_nan(model: Seq2SeqLM, form: str) -> None:
    source, target = random_ids(3, 8), random_ids(3, 6)
    source_mask, target_mask = torch.ones_like(source), torch.ones_like(target)
    source_mask[0], source_mask[1, :5], target_mask[2], target_mask[1, 4:] = 0, 0, 0, 0
    labels = target.masked_fill(target_mask == 0, -100)
    out = model(
        source, attention_mask=source_mask, decoder_input_ids=target, decoder_attention_mask=target_mask, labels=labels
    )
    assert torch.isfinite(out.logits).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    with torch.no_grad():
        first = model(source, attention_mask=source_mask, decoder_input_ids=target[:, :5], use_cache=True)
        last = model(decoder_input_ids=target[:, 5:], past_key_values=first.past_key_values)
    assert torch.isfinite(last.logits).all()


@torch.no_grad()
@pytest.mark.parametrize("kind", ["growing", "static"])
@pytest.mark.parametrize("chunks", [[1] * 20, [7, 1, 1, 8, 3]])
@pytest.mark.parametrize("padded", [False, True])
def test_cached_and_full_decoding_agree(model: Seq2SeqLM, kind: str, chunks: list[int], padded: bool) -> None:
    source, target = random_ids(2, 13), random_ids(2, 20, seed=4)
    source_mask, target_mask = torch.ones_like(source), torch.ones_like(target)
    if padded:
        source_mask[0, 8:], target_mask[1, 6:9] = 0, 0
    full = model(source, source_mask, target, target_mask).logits
    cache = Seq2SeqCache() if kind == "growing" else model.new_cache(2, 24)
    parts, start = [], 0
    for size in chunks:
        end = start + size
        given = {"input_ids": source, "attention_mask": source_mask} if start == 0 else {}
        mask = target_mask[:, :end] if padded else None
        out = model(decoder_input_ids=target[:, start:end], decoder_attention_mask=mask, past_key_values=cache, **given)
        assert out.past_key_values is cache
        assert cache.length == end
        assert (out.encoder_last_hidden_state is None) == (start > 0)
        parts.append(out.logits)
        start = end
    assert (torch.cat(parts, 1) - full)[target_mask.bool()].abs().max() <= 1e-5


@torch.no_grad()
def test_encoder_outputs_stand_for_the_source(model: Seq2SeqLM) -> None:
    source, target = random_ids(2, 9), random_ids(2, 5)
    mask = torch.ones_like(source)
    mask[1, 6:] = 0
    whole = model(source, mask, target, output_hidden_states=True)
    encoded = model.encoder(source, mask)
    assert torch.equal(encoded.last_hidden_state, whole.encoder_last_hidden_state)
    for given in (encoded, (encoded.last_hidden_state,)):
        assert torch.equal(model(attention_mask=mask, decoder_input_ids=target, encoder_outputs=given).logits, whole.logits)  # fmt: skip
    # with a cache they may be handed on, as transformers' users do
    first = model(source, mask, target[:, :3], use_cache=True)
    again = model(None, mask, target[:, 3:], encoder_outputs=encoded, past_key_values=first.past_key_values)
    torch.testing.assert_close(again.logits, whole.logits[:, 3:], atol=1e-5, rtol=0)
    assert len(whole.encoder_hidden_states) == 3
    assert len(whole.decoder_hidden_states) == 4
    assert torch.equal(model.logits(whole.decoder_hidden_states[-1]), whole.logits)
    assert torch.equal(whole[0], whole.logits)


@torch.no_grad()
def test_several_targets_of_one_source(model: Seq2SeqLM) -> None:
    source, target = random_ids(2, 9), random_ids(6, 5)
    mask = torch.ones_like(source)
    mask[1, 6:] = 0
    shared = model(source, mask, target).logits
    apart = model(source.repeat_interleave(3, 0), mask.repeat_interleave(3, 0), target).logits
    torch.testing.assert_close(shared, apart, atol=1e-5, rtol=0)


def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model = build(name)
    labels = random_ids(4, 40)
    model(random_ids(4, 40), labels=labels).loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter).all(), key
        if key.endswith(("logits_bias", ".bias")):
            assert (parameter == 0).all(), key
        elif "norm" in key:
            assert (parameter == 1).all(), key
        else:
            assert 0.005 < parameter.std() < 1.5, key
        if not key.endswith(("qkv.bias", "kv.bias")):  # a key's bias moves all scores of a query alike
            assert (parameter.grad != 0).any(), key


def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    model = build(name)
    loss = model(random_ids(8, 30), labels=random_ids(8, 60, vocab_of(model))).loss
    assert abs(loss.item() - math.log(vocab_of(model))) < 0.05


def test_same_seed_same_weights(name: str) -> None:
    one, two = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_dropout_is_where_it_was_asked_for(name: str) -> None:
    rates = {"dropout": 0.3}
    if name.startswith("marian"):
        rates |= {"dropout_attention": 0.3, "dropout_activation": 0.3}
    source, target = random_ids(2, 9), random_ids(2, 6)
    for rate in rates:
        model = build(name, **{rate: 0.3})
        assert not torch.equal(model(source, decoder_input_ids=target).logits, model(source, decoder_input_ids=target).logits)  # fmt: skip
        model.eval()
        assert torch.equal(model(source, decoder_input_ids=target).logits, build(name)(source, decoder_input_ids=target).logits)  # fmt: skip


def test_labels_are_shifted(model: Seq2SeqLM) -> None:
    source, labels = random_ids(2, 6), random_ids(2, 5)
    labels[0, 2], labels[1, 3:] = -100, -100
    start, pad = model.config.start_id, model.config.pad_id
    shifted = shift_right(labels, model.config)
    assert shifted[0].tolist() == [start, *labels[0, :2].tolist(), pad, int(labels[0, 3])]
    out = model(source, labels=labels)
    assert torch.equal(out.logits, model(source, decoder_input_ids=shifted).logits)
    picked = out.logits.log_softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0][labels != -100]
    torch.testing.assert_close(out.loss, -picked.mean())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[0, VOCAB]])}, "input_ids: token id 101 is outside the vocabulary of 101"),
        ({"decoder_input_ids": torch.tensor([[0, 500]])}, "decoder_input_ids: token id 500 is outside"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, "nothing to do"),
        ({"decoder_input_ids": torch.zeros(1, 0, dtype=torch.int64)}, "decoder_input_ids: nothing to do"),
        ({"decoder_input_ids": torch.zeros(3, dtype=torch.int64)}, "decoder_input_ids: expected 2 axes"),
        ({"decoder_input_ids": torch.zeros(2, 2, dtype=torch.int64), "input_ids": torch.zeros(3, 2, dtype=torch.int64)}, "2 rows of target for 3 of source"),
        ({"decoder_input_ids": None}, "give decoder_input_ids or labels"),
        ({"input_ids": None}, "either input_ids or inputs_embeds"),
        ({"input_ids": None, "encoder_outputs": (torch.zeros(1, 3),)}, "encoder_outputs: expected 3 axes"),
        ({"encoder_outputs": (torch.zeros(1, 3, 36),)}, "not both"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"decoder_attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 2\)"),
        ({"labels": torch.zeros(1, 3, dtype=torch.int64)}, "labels have shape"),
        ({"labels": torch.full((1, 2), -100)}, "every label is left out"),
        ({"decoder_inputs_embeds": torch.zeros(1, 2, 36)}, "'decoder_inputs_embeds' is not supported"),
        ({"output_attentions": True}, "'output_attentions' is not supported"),
        ({"past_key_values": GrowingCache()}, "past_key_values is a GrowingCache"),
        ({"past_key_values": Seq2SeqCache(), "use_cache": False}, "contradicts"),
    ],
)  # fmt: skip
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    model = build("marian")
    usual = {"input_ids": torch.tensor([[1, 2, 3]]), "decoder_input_ids": torch.tensor([[1, 2]])}
    with pytest.raises(ConfigError, match=match):
        model(**usual | arguments)


def test_a_cache_belongs_to_its_source(model: Seq2SeqLM) -> None:
    source, target = random_ids(2, 5), random_ids(2, 3)
    cache = model(source, decoder_input_ids=target, use_cache=True).past_key_values
    with pytest.raises(ConfigError, match="has seen its source"):
        model(source, decoder_input_ids=target, past_key_values=cache)
    with pytest.raises(ConfigError, match="3 rows of target for 2 of source"):
        model(decoder_input_ids=random_ids(3, 1), past_key_values=cache)


def test_how_long_texts_may_be() -> None:
    model = build("marian").eval()
    with pytest.raises(ConfigError, match="65 positions, but this model is made for 64"):
        model(random_ids(1, 65), decoder_input_ids=random_ids(1, 2))
    with pytest.raises(ConfigError, match="65 positions"):
        model(random_ids(1, 3), decoder_input_ids=random_ids(1, 65))
    assert model.new_cache(2).own.max_len == 64
    model = build("t5").eval()
    assert torch.isfinite(model(random_ids(1, 300), decoder_input_ids=random_ids(1, 200)).logits).all()
    with pytest.raises(ConfigError, match="no longest text"):
        model.new_cache(2)


@pytest.mark.parametrize(
    ("kind", "settings", "match"),
    [
        (TransformerConfig, {"d_model": 10, "n_heads": 4}, "d_model 10 is not a multiple of n_heads 4"),
        (TransformerConfig, {"d_model": 8, "n_decoder_heads": 3}, "d_model 8 is not a multiple of n_heads 3"),
        (TransformerConfig, {"tie_embeddings": False}, "are tied to the output"),
        (TransformerConfig, {"decoder_vocab_size": 9}, "decoder_vocab_size 9 differs from vocab_size"),
        (TransformerConfig, {"vocab_size": 9, "pad_id": 9}, "pad_id 9 is outside"),
        (TransformerConfig, {"activation": "step"}, "unknown activation 'step'"),
        (T5Config, {"gated": True, "activation": "gelu"}, "take gelu_tanh"),
        (T5Config, {"activation": "step"}, "unknown activation 'step'"),
        (MT5Config, {"scale_outputs": True}, "mT5 does not scale"),
    ],
)
def test_settings_that_cannot_be(kind: type, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        kind(**settings)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("t5", "feed_forward_proj", "double-gelu"), ("t5", "dense_act_fn", "step"), ("t5", "use_adapters", True),
        ("mt5", "scale_decoder_outputs", True), ("marian", "normalize_before", True), ("marian", "add_final_layer_norm", True),
        ("marian", "static_position_embeddings", False), ("marian", "num_hidden_layers", 9), ("marian", "encoder_layerdrop", 0.1),
        ("marian", "is_encoder_decoder", False), ("t5", "is_encoder_decoder", False), ("mt5", "is_encoder_decoder", False),
    ],
)  # fmt: skip
def test_settings_in_files_that_are_not_supported(name: str, key: str, value: object, tmp_path: Path) -> None:
    write_model(tmp_path, build(name))
    file = tmp_path / "config.json"
    values = json.loads(file.read_text())
    if key == "dense_act_fn":
        del values["feed_forward_proj"]
    file.write_text(json.dumps(values | {key: value}))
    with pytest.raises(ModelError, match="step" if value == "step" else key):
        read_model(tmp_path)


def test_umt5_is_another_family(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "umt5"}')
    with pytest.raises(ModelError, match="model_type 'umt5' is not supported"):
        read_model(tmp_path)


def test_old_files_of_t5(tmp_path: Path) -> None:
    """`feed_forward_proj` alone; scaled because it is tied; a head stored twice."""
    model = build("t5", activation="gelu_tanh", gated=True)
    write_model(tmp_path, model)
    file = tmp_path / "config.json"
    values = json.loads(file.read_text())
    assert values["feed_forward_proj"] == "gated-gelu"
    for key in ("dense_act_fn", "is_gated_act", "scale_decoder_outputs", "tie_word_embeddings"):
        del values[key]
    file.write_text(json.dumps(values | {"n_positions": 512, "output_past": True}))
    assert read_model(tmp_path).config == model.config
    values["tie_word_embeddings"] = False
    file.write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"lm_head\.weight .* is missing"):
        read_model(tmp_path)


def test_an_encoder_is_read_out_of_a_whole_model(tmp_path: Path) -> None:
    model = build("t5").eval()
    write_model(tmp_path, model)
    encoder = read_model(tmp_path, architecture="T5EncoderModel")
    source = random_ids(2, 9)
    assert torch.equal(encoder(source).last_hidden_state, model.encoder(source).last_hidden_state)
    assert encoder.token_weight.shape == (VOCAB, 36)
    for told in (True, False):
        write_model(tmp_path, encoder)
        values = json.loads((tmp_path / "config.json").read_text()) | {"is_encoder_decoder": told}
        (tmp_path / "config.json").write_text(json.dumps(values))
        assert torch.equal(read_model(tmp_path)(source).last_hidden_state, encoder(source).last_hidden_state)


def test_a_fixed_batch_is_learned(name: str) -> None:
    model = build(name)
    source, labels = random_ids(4, 9), random_ids(4, 7, seed=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = model(source, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def characters(texts: list[str]) -> dict[str, int]:
    """Ids of characters; 0 pads, 1 ends, 2 is unknown."""
    counts: dict[str, int] = {}
    for text in texts:
        for character in text:
            counts[character] = counts.get(character, 0) + 1
    frequent = sorted(counts, key=lambda character: -counts[character])[:1200]
    return {character: number + 3 for number, character in enumerate(frequent)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t5", "t5 1.1", "marian"])
@pytest.mark.parametrize("direction", ["en-zh", "zh-en"])
def test_trains_on_translations(kind: str, direction: str, data_root: Path) -> None:
    file = data_root / "tatoeba_cmn_eng" / "cmn.txt.gz"
    lines = gzip.decompress(file.read_bytes()).decode("utf-8").splitlines()
    pairs = [tuple(line.split("\t")[:2]) for line in lines if line.count("\t") >= 1]
    pairs = [pair if direction == "en-zh" else pair[::-1] for pair in pairs]
    ids = characters([text for pair in pairs for text in pair])
    draw = random.Random(0)
    draw.shuffle(pairs)

    def batch(side: int, chosen: list[Any]) -> Tensor:
        rows = [[ids.get(character, 2) for character in pair[side][:60]] + [1] for pair in chosen]
        longest = max(len(row) for row in rows)
        return torch.tensor([row + [0] * (longest - len(row)) for row in rows])

    shape = {"vocab_size": len(ids) + 3, "d_model": 64, "n_heads": 4, "n_layers": 2, "n_decoder_layers": 2, "d_ff": 128, "eos_id": 1, "pad_id": 0, "decoder_start_id": 0}  # fmt: skip
    torch.manual_seed(0)
    if kind == "marian":
        model = transformer(TransformerConfig(**shape, max_len=64))
    else:
        gated = {"gated": True, "activation": "gelu_tanh", "tie_embeddings": False} if kind == "t5 1.1" else {}
        model = t5(T5Config(**shape, d_head=16, **gated))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    losses = []
    for step in range(200):
        chosen = [pairs[(step * 16 + i) % len(pairs)] for i in range(16)]
        source, target = batch(0, chosen), batch(1, chosen)
        loss = model(source, source != 0, labels=target.masked_fill(target == 0, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, (step + 1) / 40)
        optimizer.step()
        losses.append(loss.item())
    first, last = sum(losses[:10]) / 10, sum(losses[-20:]) / 20
    assert last < 0.75 * first
