"""Sequence to sequence with LSTMs: every attention, padding, cached steps, text, the directory."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.seq2seq import generate_seq2seq
from hanmo.generation.settings import GenerationSettings
from hanmo.models.directory import read_model, write_model
from hanmo.models.lstm_seq2seq import SIZES, LSTMSeq2Seq, LSTMSeq2SeqConfig, lstm_seq2seq
from hanmo.nn.cache import Seq2SeqCache
from hanmo.nn.recurrent_decoder import DecoderState
from hanmo.tokenizers.bpe import train_bpe

VOCAB = 31
SHAPES: dict[str, dict[str, Any]] = {
    "additive": {"attention": "additive"},
    "dot": {"attention": "dot", "tie_embeddings": False},
    "general": {"attention": "general", "input_feeding": False},
    "concat": {"attention": "concat", "n_layers": 1},
}


def build(name: str, **more: Any) -> LSTMSeq2Seq:
    torch.manual_seed(0)
    settings = {"vocab_size": VOCAB, "max_len": 40, "d_model": 14, "n_layers": 2, "eos_id": 1} | SHAPES[name] | more
    return lstm_seq2seq(LSTMSeq2SeqConfig.model_validate(settings))


@pytest.fixture(params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> LSTMSeq2Seq:
    return build(name, init_std=1.0).eval()


def random_ids(rows: int, length: int, seed: int = 3) -> Tensor:
    return torch.randint(2, VOCAB, (rows, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_the_future_is_invisible(model: LSTMSeq2Seq) -> None:
    source, target = random_ids(2, 7), random_ids(2, 9, 4)
    before = model(source, decoder_input_ids=target).logits
    changed = target.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % VOCAB
    after = model(source, decoder_input_ids=changed).logits
    assert torch.equal(after[:, :5], before[:, :5])
    assert not torch.equal(after[:, 5], before[:, 5])
    other = (source + 1) % VOCAB
    assert not torch.equal(model(other, decoder_input_ids=target).logits[:, 0], before[:, 0])


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(model: LSTMSeq2Seq, side: str) -> None:
    source, other, target = random_ids(1, 5), random_ids(1, 8, 5), random_ids(2, 6, 4)
    padding = torch.full((1, 3), 17)
    row = torch.cat((padding, source) if side == "left" else (source, padding), 1)
    mask = torch.ones(2, 8, dtype=torch.int64)
    mask[0, slice(0, 3) if side == "left" else slice(5, 8)] = 0
    batch = model(torch.cat((row, other)), attention_mask=mask, decoder_input_ids=target)
    for i, text in enumerate((source, other)):
        alone = model(text, decoder_input_ids=target[i : i + 1])
        torch.testing.assert_close(batch.logits[i], alone.logits[0], atol=1e-5, rtol=0)
    order = torch.tensor([1, 0])
    swapped = model(torch.cat((other, row)), attention_mask=mask[order], decoder_input_ids=target[order])
    torch.testing.assert_close(swapped.logits, batch.logits[order], atol=1e-5, rtol=0)


def test_rows_without_a_source_give_no_nan(model: LSTMSeq2Seq) -> None:
    mask = torch.ones(2, 7)
    mask[0] = 0
    out = model(random_ids(2, 7), attention_mask=mask, labels=random_ids(2, 5, 4))
    assert torch.isfinite(out.logits).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@torch.no_grad()
def test_cached_and_full_decoding_agree(model: LSTMSeq2Seq) -> None:
    source, target = random_ids(2, 7), random_ids(2, 9, 4)
    mask = torch.ones_like(source)
    mask[1, 4:] = 0
    full = model(source, attention_mask=mask, decoder_input_ids=target)
    for sizes in ([1] * 9, [4, 1, 4]):
        state, parts, arguments = model.new_cache(2), [], {"input_ids": source, "attention_mask": mask}
        for part in target.split(sizes, 1):
            out = model(decoder_input_ids=part, past_key_values=state, **arguments)
            parts.append(out.logits)
            arguments = {}
            assert out.past_key_values is state
        assert state.length == 9
        torch.testing.assert_close(torch.cat(parts, 1), full.logits, atol=1e-5, rtol=0)
    started = model(source, attention_mask=mask, decoder_input_ids=target[:, :4], use_cache=True)
    again = model(decoder_input_ids=target[:, 4:], past_key_values=started.past_key_values)
    torch.testing.assert_close(again.logits, full.logits[:, 4:], atol=1e-5, rtol=0)
    torch.testing.assert_close(full.encoder_last_hidden_state[1, 4:], torch.zeros(3, 14))
    # several targets of one source
    twice = model(source, attention_mask=mask, decoder_input_ids=target.repeat_interleave(2, 0))
    torch.testing.assert_close(twice.logits, full.logits.repeat_interleave(2, 0), atol=1e-5, rtol=0)


def test_teacher_forcing(model: LSTMSeq2Seq) -> None:
    source, labels = random_ids(3, 6), random_ids(3, 5, 4)
    labels[0, 3:] = -100
    out = model(source, labels=labels)
    shifted = torch.tensor([[0, *row[:-1]] for row in labels.masked_fill(labels == -100, 0).tolist()])
    logits = model(source, decoder_input_ids=shifted).logits
    torch.testing.assert_close(out.logits, logits)
    counted = labels != -100
    expected = -logits.log_softmax(-1)[counted].gather(1, labels[counted][:, None]).mean()
    torch.testing.assert_close(out.loss, expected)


def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model = build(name)
    loss = model(random_ids(8, 20), labels=random_ids(8, 20, 4)).loss
    loss.backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), key
        assert (parameter.grad != 0).any(), key
    assert abs(loss.item() - math.log(VOCAB)) < 0.05
    again = build(name).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())


@torch.no_grad()
def test_greedy_and_beam_search(model: LSTMSeq2Seq) -> None:
    source = random_ids(3, 7)
    mask = torch.ones_like(source)
    mask[0, 3:] = 0
    greedy = generate_seq2seq(model, source, mask, GenerationSettings(max_new_tokens=8))
    for row, texts in enumerate(greedy):
        real = source[row : row + 1, mask[row].bool()]
        ids = [model.config.start_id]
        for _ in range(8):  # the plain road: the whole target anew for every token
            new = int(model(real, decoder_input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if new == 1:
                break
            ids.append(new)
        assert texts[0].tokens == ids[1:]
    searched = generate_seq2seq(model, source, mask, BeamSettings(num_beams=VOCAB, max_new_tokens=2, length_penalty=0))
    for row, texts in enumerate(searched):  # as many beams as tokens: two tokens are searched exhaustively
        real = source[row : row + 1, mask[row].bool()]
        pairs = [[a, b] for a, b in itertools.product(range(VOCAB), repeat=2) if a != 1]
        read = torch.tensor([[model.config.start_id, a] for a, _ in pairs])
        logprobs = model(real, decoder_input_ids=read).logits.log_softmax(-1)
        scores = logprobs.gather(2, torch.tensor(pairs)[..., None]).sum((1, 2))
        best, score = pairs[int(scores.argmax())], float(scores.max())
        ended = float(logprobs[0, 0, 1])  # the end at once
        assert texts[0].tokens == ([] if ended > score else [token for token in best if token != 1])
        assert texts[0].score == pytest.approx(max(score, ended), abs=1e-5)


def test_the_directory_survives_the_round_trip(name: str, tmp_path: Path) -> None:
    model = build(name, dropout=0.1, decoder_start_id=2)
    write_model(tmp_path / "one", model)
    again = read_model(tmp_path / "one")
    assert again.config == model.config
    write_model(tmp_path / "two", again)
    first, second = (tmp_path / folder / "model.safetensors" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert (config["model_type"], config["is_encoder_decoder"]) == ("hanmo-lstm-seq2seq", True)
    source, target = random_ids(2, 7), random_ids(2, 5, 4)
    ours, theirs = (m.eval()(source, decoder_input_ids=target).logits for m in (model, again))
    assert torch.equal(ours, theirs)


def test_settings() -> None:
    with torch.device("meta"):
        for size in SIZES.values():
            lstm_seq2seq(LSTMSeq2SeqConfig.model_validate(size))
    for wrong, match in (({"d_model": 7}, "does not split"), ({"input_feeding": False}, "additive attention feeds")):
        with pytest.raises(ValueError, match=match):
            LSTMSeq2SeqConfig.model_validate(wrong)
    assert LSTMSeq2SeqConfig(bos_id=5).start_id == 5
    with pytest.raises(ConfigError, match="no token starts the target"):
        _ = LSTMSeq2SeqConfig(pad_id=None).start_id


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"decoder_input_ids": None}, "decoder_input_ids or labels"),
        ({"input_ids": None}, "there is no source"),
        ({"input_ids": torch.tensor([[VOCAB]])}, "token id 31 is outside"),
        ({"decoder_input_ids": torch.full((2, 1), VOCAB)}, "decoder_input_ids: token id 31 is outside"),
        ({"decoder_input_ids": torch.ones(3, 2, dtype=torch.int64)}, "3 rows of target for 2 of source"),
        ({"attention_mask": torch.ones(2, 4)}, r"shape \(2, 4\), expected \(2, 3\)"),
        ({"labels": torch.ones(2, 5, dtype=torch.int64)}, "labels have shape"),
        ({"past_key_values": Seq2SeqCache()}, "past_key_values is a Seq2SeqCache"),
        ({"past_key_values": DecoderState(), "use_cache": False}, "contradicts"),
        ({"decoder_attention_mask": torch.ones(2, 2)}, "'decoder_attention_mask' is not supported"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    good = {"input_ids": torch.ones(2, 3, dtype=torch.int64), "decoder_input_ids": torch.ones(2, 2, dtype=torch.int64)}
    with pytest.raises(ConfigError, match=match):
        build("additive")(**good | arguments)


def test_a_source_is_read_once() -> None:
    model, source = build("additive"), random_ids(2, 3)
    state = model(source, decoder_input_ids=source, use_cache=True).past_key_values
    with pytest.raises(ConfigError, match="has seen its source already"):
        model(source, decoder_input_ids=source, past_key_values=state)
    with pytest.raises(ConfigError, match="4 rows of target for 2"):
        model(decoder_input_ids=random_ids(4, 1), past_key_values=state)


def test_the_loss_falls_on_a_fixed_batch(name: str) -> None:
    model, source = build(name, d_model=32), random_ids(4, 6)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(15):
        loss = model(source, labels=source.flip(1)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["additive", "general"])
def test_it_learns_to_translate_into_chinese(data_root: Path, name: str) -> None:
    """200 steps on short sentences: too few to translate well, enough for a falling loss on unseen pairs."""
    with gzip.open(data_root / "tatoeba_cmn_eng" / "cmn.txt.gz", "rt", encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t")[:2] for line in file]
    tokenizer = train_bpe((text for pair in pairs[:4000] for text in pair), 2000)
    end = tokenizer.eos_id
    coded = [tuple(tokenizer.encode(text) for text in pair) for pair in pairs]
    generator = torch.Generator().manual_seed(0)

    def batch(chosen: list[int]) -> dict[str, Tensor]:
        source = nn.utils.rnn.pad_sequence([torch.tensor(coded[i][0]) for i in chosen], True, -1)
        target = nn.utils.rnn.pad_sequence([torch.tensor([*coded[i][1], end]) for i in chosen], True, -100)
        return {"input_ids": source.clamp(min=0), "attention_mask": (source >= 0).long(), "labels": target}

    held_out = batch(list(range(0, 19000, 300)))
    model = build(name, vocab_size=tokenizer.vocab_size, d_model=128, n_layers=1, eos_id=end, pad_id=None, bos_id=end)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=3e-3), []
    with torch.no_grad():
        before = model.eval()(**held_out).loss.item()
    model.train()
    for _ in range(200):
        chosen = torch.randint(len(coded), (32,), generator=generator).tolist()
        loss = model(**batch([i for i in chosen if i % 300])).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        after = model.eval()(**held_out).loss.item()
    few = {key: held_out[key][:3] for key in ("input_ids", "attention_mask")}
    written = generate_seq2seq(model, **few, settings=GenerationSettings(max_new_tokens=20))
    for i, texts in zip((0, 300, 600), written, strict=True):
        print(pairs[i], "->", tokenizer.decode(texts[0].tokens))
    print(f"{name}: {losses[0]:.3f} -> {losses[-1]:.3f}; held out {before:.3f} -> {after:.3f}")
    assert abs(before - math.log(tokenizer.vocab_size)) < 0.1
    assert after < before - 2
