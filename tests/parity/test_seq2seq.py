"""Encoder-decoder families against `transformers`, both directions, on random odd shapes."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from hanmo.models.directory import read_model, write_model
from hanmo.models.families import family_of

MAX_LEN = 70
ACTIVATIONS = ["relu", "gelu", "gelu_new", "silu", "swish", "quick_gelu"]


def random_t5(rng: random.Random, kind: type = transformers.T5Config) -> transformers.PreTrainedConfig:
    return kind(
        vocab_size=rng.choice([53, 97, 211]),
        d_model=rng.choice([6, 10, 15, 21]),
        d_kv=rng.choice([2, 3, 5]),
        d_ff=rng.choice([13, 40]),
        num_layers=rng.randint(1, 3),
        num_decoder_layers=rng.choice([None, 1, 2]),
        num_heads=rng.choice([1, 2, 3, 5]),
        relative_attention_num_buckets=rng.choice([8, 12, 32]),
        relative_attention_max_distance=rng.choice([20, 33, 128]),
        feed_forward_proj=rng.choice(["relu", "gelu", "silu", "gated-gelu", "gated-silu", "gated-relu"]),
        layer_norm_epsilon=rng.choice([1e-6, 1e-3]),
        tie_word_embeddings=rng.random() < 0.5,
        decoder_start_token_id=rng.choice([0, 3]),
        eos_token_id=None,
    )


def random_mt5(rng: random.Random) -> transformers.PreTrainedConfig:
    return random_t5(rng, transformers.MT5Config)


def random_marian(rng: random.Random) -> transformers.PreTrainedConfig:
    shared = rng.random() < 0.6
    vocab_size, pad = rng.choice([53, 97, 211]), rng.choice([0, 7, 46])
    heads = rng.choice([(1, 1), (1, 3), (2, 6), (3, 1), (5, 5), (6, 2)])
    return transformers.MarianConfig(
        vocab_size=vocab_size,
        decoder_vocab_size=vocab_size if shared else rng.choice([47, 101]),
        d_model=heads[0] * heads[1] * rng.choice([2, 3]) if heads[0] != heads[1] else heads[0] * rng.choice([3, 5]),
        encoder_layers=rng.randint(1, 3),
        encoder_attention_heads=heads[0],
        encoder_ffn_dim=rng.choice([13, 40]),
        decoder_layers=rng.randint(1, 3),
        decoder_attention_heads=heads[1],
        decoder_ffn_dim=rng.choice([11, 30]),
        max_position_embeddings=MAX_LEN,
        activation_function=rng.choice(ACTIVATIONS),
        scale_embedding=rng.random() < 0.5,
        share_encoder_decoder_embeddings=shared,
        tie_word_embeddings=shared or rng.random() < 0.5,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=None,
        forced_eos_token_id=None,
    )


RANDOM_CONFIGS = {
    "T5ForConditionalGeneration": random_t5,
    "MT5ForConditionalGeneration": random_mt5,
    "MarianMTModel": random_marian,
}
ENCODERS = {"T5EncoderModel": random_t5, "MT5EncoderModel": random_mt5}


def cases(names: Iterable[str], *, n_fast: int) -> list[Any]:
    """Every family with 100 seeds; mT5, which is a T5 with other defaults, has only two in the fast suite."""
    return [
        pytest.param(name, seed, marks=[pytest.mark.slow] if seed >= (2 if name.startswith("MT5") else n_fast) else [])
        for name in names
        for seed in range(100)
    ]


WHOLE = cases(RANDOM_CONFIGS, n_fast=10)


def make_rival(name: str, seed: int, **changes: Any) -> transformers.PreTrainedModel:
    rng = random.Random(seed)
    config = (RANDOM_CONFIGS | ENCODERS)[name](rng)
    for key, value in changes.items():
        setattr(config, key, value)
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        if "T5ForConditional" in name and not getattr(config, "scale_decoder_outputs", rng.random() < 0.5):
            # version 5 ties whatever it is told, until it reads a file with a head of its own
            rival.lm_head.weight = nn.Parameter(torch.randn_like(rival.lm_head.weight) * 0.3)
        for key, parameter in rival.named_parameters():  # biases and norms, too, must carry something to compare
            if key == "shared.weight":
                parameter.mul_(0.3)
            if "embed_positions" not in key:
                parameter.add_(torch.randn_like(parameter) * 0.08)
        if name == "MarianMTModel":
            rival.final_logits_bias.normal_(std=0.3)
    return rival


def make_batch(seed: int, config: Any) -> dict[str, Tensor]:
    """Three rows of source and target; even seeds pad on the left, odd ones on the right."""
    rng = torch.Generator().manual_seed(seed)

    def side(vocab_size: int) -> tuple[Tensor, Tensor]:
        length = 1 + int(torch.randint(67, (), generator=rng))
        mask = torch.ones(3, length, dtype=torch.int64)
        for row in (1, 2):
            padding = int(torch.randint(length, (), generator=rng))
            mask[row, : padding if seed % 2 == 0 else 0] = 0
            mask[row, length - padding if seed % 2 else length :] = 0
        return torch.randint(vocab_size, (3, length), generator=rng), mask

    source, source_mask = side(config.vocab_size)
    target, target_mask = side(getattr(config, "decoder_vocab_size", None) or config.vocab_size)
    return {
        "input_ids": source,
        "attention_mask": source_mask,
        "decoder_input_ids": target,
        "decoder_attention_mask": target_mask,
    }


def assert_close(ours: Tensor, theirs: Tensor, mask: Tensor) -> None:
    difference = (ours - theirs)[mask.bool()].abs()
    size = largest(theirs)
    assert difference.max() <= 1e-5 * size
    assert difference.mean() <= 1e-6 * size


def largest(values: Tensor) -> float:
    """What rounding grows with: T5 divides no scores, and some of its random models give large numbers."""
    return max(1.0, float(values.detach().abs().max()))


@pytest.mark.parametrize(("name", "seed"), WHOLE)
def test_outputs_and_gradients(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch = make_batch(seed, rival.config)
    out = ours(**batch, output_hidden_states=True)
    theirs = rival(**batch, output_hidden_states=True)
    source_mask, target_mask = batch["attention_mask"], batch["decoder_attention_mask"]
    assert_close(out.logits, theirs.logits, target_mask)
    assert_close(out.encoder_last_hidden_state, theirs.encoder_last_hidden_state, source_mask)
    for key, mask in (("encoder_hidden_states", source_mask), ("decoder_hidden_states", target_mask)):
        assert len(out[key]) == len(theirs[key])
        for one, other in zip(out[key], theirs[key], strict=True):
            assert_close(one, other, mask)

    labels = batch["decoder_input_ids"].masked_fill(target_mask == 0, -100)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    mine, other = ours(**inputs, labels=labels), rival(**inputs, labels=labels)
    assert (mine.logits - other.logits).abs().max() <= 1e-5 * largest(other.logits)
    torch.testing.assert_close(mine.loss, other.loss, rtol=1e-5, atol=1e-6)
    mine.loss.backward()
    other.loss.backward()
    assert_same_gradients(ours, rival)


def assert_same_gradients(ours: nn.Module, rival: transformers.PreTrainedModel) -> None:
    theirs = {name: parameter.grad for name, parameter in rival.named_parameters() if parameter.grad is not None}
    seen = set()
    # a gradient that is zero in exact arithmetic (keys' biases) is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family_of(ours.config).architecture(ours.architecture).rules(ours.config):
        grad = ours.get_parameter(rule.ours).grad
        assert grad is not None, rule.ours
        if rule.ours == "logits_bias":  # a buffer there
            continue
        for name, part in rule.scatter(grad):
            scale = max(float(theirs[name].abs().max()), floor)
            assert float((part - theirs[name]).abs().max()) <= 1e-4 * scale, name
            seen.add(name)
    assert seen == set(theirs)


@pytest.mark.parametrize(("name", "seed"), cases(ENCODERS, n_fast=3))
def test_encoders_alone(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "theirs")
    ours = read_model(tmp_path / "theirs")
    assert ours.architecture == name
    batch = {key: value for key, value in make_batch(seed, rival.config).items() if not key.startswith("decoder")}
    out, theirs = ours(**batch).last_hidden_state, rival(**batch).last_hidden_state
    assert_close(out, theirs, batch["attention_mask"])
    embeds = rival.shared(batch["input_ids"])
    assert torch.equal(ours(inputs_embeds=embeds, attention_mask=batch["attention_mask"]).last_hidden_state, out)
    write_model(tmp_path / "ours", ours)
    back = type(rival).from_pretrained(tmp_path / "ours")
    assert torch.equal(back(**batch).last_hidden_state, theirs)


@pytest.mark.parametrize(("name", "seed"), WHOLE)
def test_greedy_tokens(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch = make_batch(seed, rival.config)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    theirs = rival.generate(**inputs, max_new_tokens=32, do_sample=False, use_cache=can_cache(rival.config))
    assert torch.equal(greedy(ours, **inputs, n_tokens=32), theirs)


def can_cache(config: Any) -> bool:
    """Version 5 of the rival makes its cache as deep as the encoder, and fails in a deeper decoder."""
    return config.num_hidden_layers >= getattr(config, "decoder_layers", getattr(config, "num_decoder_layers", 0))


@torch.no_grad()
def greedy(model: Any, input_ids: Tensor, attention_mask: Tensor, n_tokens: int) -> Tensor:
    new = torch.full((len(input_ids), 1), model.config.decoder_start_id)
    out, ids = None, new
    for _ in range(n_tokens):
        if out is None:
            out = model(input_ids, attention_mask, decoder_input_ids=new, use_cache=True)
        else:
            out = model(decoder_input_ids=new, past_key_values=out.past_key_values)
        new = out.logits[:, -1:].argmax(-1)
        ids = torch.cat((ids, new), 1)
    return ids


@pytest.mark.parametrize(("name", "seed"), WHOLE)
def test_files_survive_the_round_trip(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "theirs")
    write_model(tmp_path / "ours", read_model(tmp_path / "theirs"))
    back = type(rival).from_pretrained(tmp_path / "ours")
    back.save_pretrained(tmp_path / "back")
    first, second, third = (load_file(tmp_path / folder / "model.safetensors") for folder in ("theirs", "ours", "back"))
    assert set(first) == set(second) == set(third)
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key])
        assert torch.equal(tensor, third[key])
    assert read_model(tmp_path / "back").config == read_model(tmp_path / "theirs").config
    batch = make_batch(seed, rival.config)
    # one activation goes by two names there, which round differently
    assert (back(**batch).logits - rival(**batch).logits).abs().max() <= 1e-5
