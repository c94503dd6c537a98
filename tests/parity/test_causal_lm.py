"""Causal families against `transformers`, both directions, on random odd shapes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from hanmo.models.causal_lm import CausalLM
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES, family_of
from hanmo.nn.cache import GrowingCache
from hanmo.nn.masks import positions_from_padding

MAX_LEN = 67 + 32
FEW_SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 4 else []) for seed in range(100)]
"""Of tests that cost more than the logits and gradients do, which take ten fast seeds."""
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 10 else []) for seed in range(100)]


def random_gpt2(rng: random.Random) -> transformers.PreTrainedConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    return transformers.GPT2Config(
        vocab_size=rng.choice([53, 97, 211]),
        n_positions=MAX_LEN,
        n_embd=n_heads * rng.choice([2, 3, 5, 6]),
        n_layer=rng.randint(1, 3),
        n_head=n_heads,
        n_inner=rng.choice([None, 13, 40]),
        activation_function=rng.choice(["gelu_new", "gelu", "relu", "silu", "gelu_pytorch_tanh", "quick_gelu"]),
        layer_norm_epsilon=rng.choice([1e-5, 1e-3]),
        scale_attn_weights=rng.random() < 0.7,
        scale_attn_by_inverse_layer_idx=rng.random() < 0.3,
        tie_word_embeddings=rng.random() < 0.5,
        bos_token_id=None,
        eos_token_id=None,
    )


def random_llama(rng: random.Random) -> transformers.PreTrainedConfig:
    n_kv_heads = rng.choice([1, 2, 3, 5])
    n_heads = n_kv_heads * rng.choice([1, 2, 3])
    return transformers.LlamaConfig(
        vocab_size=rng.choice([53, 97, 211]),
        max_position_embeddings=MAX_LEN,
        hidden_size=n_heads * rng.choice([2, 3, 5]),
        intermediate_size=rng.choice([7, 24, 33]),
        num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=n_heads,
        num_key_value_heads=n_kv_heads,
        head_dim=rng.choice([2, 4, 6]),
        hidden_act=rng.choice(["silu", "gelu", "relu"]),
        rms_norm_eps=rng.choice([1e-6, 1e-3]),
        rope_parameters={"rope_type": "default", "rope_theta": rng.choice([10_000.0, 123.0])},
        attention_bias=rng.random() < 0.5,
        mlp_bias=rng.random() < 0.5,
        tie_word_embeddings=rng.random() < 0.5,
        bos_token_id=None,
        eos_token_id=None,
    )


def random_rope(rng: random.Random, d_head: int, kinds: list[str]) -> dict[str, Any]:
    """Any way of scaling, its constants such that it changes the angles of texts of this length."""
    kind = rng.choice(kinds)
    values: dict[str, Any] = {"rope_type": kind, "rope_theta": rng.choice([10_000.0, 123.0])}
    if kind != "default":
        values["factor"] = rng.choice([1.5, 2.0, 4.0])
    if kind in ("yarn", "llama3", "longrope"):
        values["original_max_position_embeddings"] = rng.choice([16, 31])
    if kind == "yarn":
        choices: dict[str, list[Any]] = {
            "attention_factor": [None, 0.7], "beta_fast": [None, 9.0], "beta_slow": [None, 0.6],
            "mscale": [None, 0.8], "mscale_all_dim": [None, 1.3], "truncate": [True, False],
        }  # fmt: skip
        values |= {key: value for key, some in choices.items() if (value := rng.choice(some)) is not None}
    if kind == "llama3":
        values |= {"low_freq_factor": rng.choice([0.5, 1.0]), "high_freq_factor": rng.choice([2.0, 4.0])}
    if kind == "longrope":
        for key in ("short_factor", "long_factor"):
            values[key] = [rng.choice([1.0, 1.1, 2.5]) for _ in range(d_head // 2)]
        if rng.random() < 0.5:
            values["attention_factor"] = 1.2
    return values


def random_scaled_llama(rng: random.Random) -> transformers.PreTrainedConfig:
    config = random_llama(rng)
    # shorter than the texts, so that frequencies that depend on the length change
    config.max_position_embeddings = rng.choice([20, 33, MAX_LEN])
    config.head_dim = rng.choice([4, 6, 10])
    kinds = ["linear", "dynamic", "yarn", "llama3", "longrope"]
    config.rope_parameters = random_rope(rng, config.head_dim, kinds)
    return config


def random_shape(rng: random.Random) -> dict[str, Any]:
    n_kv_heads = rng.choice([1, 2, 3, 5])
    return {
        "vocab_size": rng.choice([53, 97, 211]),
        "max_position_embeddings": MAX_LEN,
        "intermediate_size": rng.choice([7, 24, 33]),
        "num_hidden_layers": rng.randint(1, 3),
        "num_attention_heads": n_kv_heads * rng.choice([1, 2, 3]),
        "num_key_value_heads": n_kv_heads,
        "hidden_act": rng.choice(["silu", "gelu", "relu"]),
        "rms_norm_eps": rng.choice([1e-6, 1e-3]),
        "tie_word_embeddings": rng.random() < 0.5,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def random_windows(rng: random.Random, n_layers: int) -> dict[str, Any]:
    if rng.random() < 0.4:
        return {"use_sliding_window": False, "sliding_window": 7}
    # not 1: there the cache of a window of one position keeps everything
    windows = {"use_sliding_window": True, "sliding_window": rng.choice([2, 3, 7, 30])}
    if rng.random() < 0.5:
        return windows | {"max_window_layers": rng.randint(0, n_layers)}
    return windows | {"layer_types": rng.choices(["full_attention", "sliding_attention"], k=n_layers)}


def random_qwen2(rng: random.Random) -> transformers.PreTrainedConfig:
    shape = random_shape(rng)
    d_head = rng.choice([2, 4, 6])
    return transformers.Qwen2Config(
        **shape,
        hidden_size=shape["num_attention_heads"] * d_head,
        rope_parameters=random_rope(rng, d_head, ["default", "default", "yarn"]),
        **random_windows(rng, shape["num_hidden_layers"]),
    )


def random_qwen3(rng: random.Random) -> transformers.PreTrainedConfig:
    shape = random_shape(rng)
    d_head = rng.choice([2, 4, 6])
    return transformers.Qwen3Config(
        **shape,
        hidden_size=rng.choice([5, 12, 21]),
        head_dim=d_head,
        attention_bias=rng.random() < 0.5,
        rope_parameters=random_rope(rng, d_head, ["default", "default", "yarn"]),
        **random_windows(rng, shape["num_hidden_layers"]),
    )


def random_mistral(rng: random.Random) -> transformers.PreTrainedConfig:
    shape = random_shape(rng)
    d_head = rng.choice([2, 4, 6])
    return transformers.MistralConfig(
        **shape,
        hidden_size=rng.choice([5, 12, 21]),
        head_dim=d_head,
        sliding_window=rng.choice([None, 2, 3, 17]),
        rope_parameters=random_rope(rng, d_head, ["default", "linear"]),
    )


RANDOM_CONFIGS = {
    "gpt2": random_gpt2,
    "llama": random_llama,
    "llama scaled": random_scaled_llama,
    "mistral": random_mistral,
    "qwen2": random_qwen2,
    "qwen3": random_qwen3,
}


def make_rival(family: str, seed: int) -> transformers.PreTrainedModel:
    config = RANDOM_CONFIGS[family](random.Random(seed))
    torch.manual_seed(seed)
    rival = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in rival.parameters():  # biases and norms, too, must carry something to compare
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return rival


def padded_batch(seed: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and positions of three rows; even seeds pad on the left, odd ones on the right."""
    rng = torch.Generator().manual_seed(seed)
    length = 1 + int(torch.randint(67, (), generator=rng))
    ids = torch.randint(vocab_size, (3, length), generator=rng)
    mask = torch.ones_like(ids)
    for row in (1, 2):
        padding = int(torch.randint(length, (), generator=rng))
        mask[row, : padding if seed % 2 == 0 else 0] = 0
        mask[row, length - padding if seed % 2 else length :] = 0
    return ids, mask, positions_from_padding(mask)


@pytest.fixture(params=list(RANDOM_CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("seed", SEEDS)
def test_logits_and_gradients(family: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(family, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    ids, mask, positions = padded_batch(seed, rival.config.vocab_size)

    theirs_out = rival(ids, attention_mask=mask, position_ids=positions)
    ours_out = ours(ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
    difference = (ours_out.logits - theirs_out.logits)[mask.bool()].abs()
    assert difference.max() <= 1e-5
    assert difference.mean() <= 1e-6

    # without positions both number padding, too
    plain = (ours(ids, attention_mask=mask).logits - rival(ids, attention_mask=mask).logits)[mask.bool()].abs()
    assert plain.max() <= 1e-5

    if ids.shape[1] < 2:
        return
    labels = ids.masked_fill(mask == 0, -100)
    theirs_loss = rival(ids, attention_mask=mask, labels=labels).loss
    ours_loss = ours(ids, attention_mask=mask, labels=labels).loss
    torch.testing.assert_close(ours_loss, theirs_loss, rtol=1e-5, atol=1e-6)
    theirs_loss.backward()
    ours_loss.backward()
    assert_same_gradients(ours, rival)


def assert_same_gradients(ours: CausalLM, rival: transformers.PreTrainedModel) -> None:
    theirs = {name: parameter.grad for name, parameter in rival.named_parameters()}
    seen = set()
    # a gradient that is zero in exact arithmetic (keys' biases) is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family_of(ours.config).architecture(ours.architecture).rules(ours.config):
        grad = ours.get_parameter(rule.ours).grad
        assert grad is not None
        for name, part in rule.scatter(grad):
            scale = max(float(theirs[name].abs().max()), floor)
            assert float((part - theirs[name]).abs().max()) <= 1e-4 * scale, name
            seen.add(name)
    assert seen == set(theirs)


@pytest.mark.parametrize("seed", FEW_SEEDS)
def test_greedy_tokens(family: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(family, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    ids, mask, _ = padded_batch(2 * seed, rival.config.vocab_size)  # on the left, as generation needs it
    theirs = rival.generate(ids, attention_mask=mask, max_new_tokens=32, do_sample=False, pad_token_id=0)
    assert torch.equal(greedy(ours, ids, mask, 32), theirs)


@torch.no_grad()
def greedy(model: CausalLM, ids: Tensor, mask: Tensor, n_tokens: int) -> Tensor:
    cache, new = GrowingCache(), ids
    for _ in range(n_tokens):
        positions = positions_from_padding(mask)[:, -new.shape[1] :]
        out = model(new, attention_mask=mask, position_ids=positions, past_key_values=cache, logits_to_keep=1)
        new = out.logits.argmax(-1)
        ids, mask = torch.cat((ids, new), 1), torch.cat((mask, torch.ones_like(new)), 1)
    return ids


@pytest.mark.parametrize("seed", FEW_SEEDS)
def test_files_survive_the_round_trip(family: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(family, seed)
    rival.save_pretrained(tmp_path / "theirs")
    write_model(tmp_path / "ours", read_model(tmp_path / "theirs"))
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    back.save_pretrained(tmp_path / "back")

    first, second, third = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours", "back"))
    assert set(first) == set(second) == set(third)
    for name, tensor in first.items():
        assert tensor.shape == second[name].shape
        assert torch.equal(tensor, second[name])
        assert torch.equal(tensor, third[name])
    assert read_model(tmp_path / "back").config == read_model(tmp_path / "theirs").config
    ids, _, _ = padded_batch(seed, rival.config.vocab_size)
    # one activation goes by two names there, which round differently
    assert (back(ids).logits - rival(ids).logits).abs().max() <= 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_our_own_model_loads_there(family: str, dtype: torch.dtype, tmp_path: Path) -> None:
    kind = FAMILIES[family.split()[0]]
    shape = {"vocab_size": 101, "max_len": 40, "d_model": 30, "n_layers": 2, "n_heads": 5, "eos_id": 7}
    config = kind.config.model_validate(shape)
    ours = kind.architecture().build(config)
    write_model(tmp_path, ours, dtype=dtype)
    rival = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(rival).__name__ == next(iter(kind.architectures))
    assert rival.dtype == dtype
    assert rival.generation_config.eos_token_id == 7
    ids = torch.randint(101, (2, 19))
    again = read_model(tmp_path, dtype=torch.float32)
    assert (again(ids).logits - rival.float()(ids).logits).abs().max() <= 1e-5


def test_hidden_states_and_packed_positions(family: str, tmp_path: Path) -> None:
    rival = make_rival(family, 3)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    ids = torch.randint(rival.config.vocab_size, (2, 9))
    packed = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0, 1]])
    for arguments in ({}, {"position_ids": packed}, {"position_ids": packed.expand(2, -1)}):
        # transformers tells packed texts apart only without a cache, and makes one unless told not to
        theirs = rival(ids, output_hidden_states=True, use_cache=False, **arguments)
        out = ours(ids, output_hidden_states=True, **arguments)
        assert (out.logits - theirs.logits).abs().max() <= 1e-5
        assert len(out.hidden_states) == len(theirs.hidden_states)
        for mine, other in zip(out.hidden_states, theirs.hidden_states, strict=True):
            assert (mine - other).abs().max() <= 1e-5
    assert (ours(ids).logits - ours(ids, position_ids=packed).logits).abs().max() > 1e-3
    embeds = ours.embedding.token(ids)
    assert torch.equal(ours(inputs_embeds=embeds).logits, ours(ids).logits)
    kept = torch.tensor([1, 4])
    assert (ours(ids, logits_to_keep=kept).logits - rival(ids, logits_to_keep=kept).logits).abs().max() <= 1e-5


def test_a_changed_weight_is_noticed(family: str, tmp_path: Path) -> None:
    rival = make_rival(family, 0)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    with torch.no_grad():
        ours.stack.layers[0].attention.inner.qkv.weight[0, 0] += 0.5
    ids = torch.randint(rival.config.vocab_size, (2, 30))
    assert (ours(ids).logits - rival(ids).logits).abs().max() > 1e-4
