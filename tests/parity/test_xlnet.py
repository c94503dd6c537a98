"""XLNet against `transformers`, both directions, on random odd shapes: both streams, memory, masks, generation."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ModelError
from hanmo.generation.permutation import generate_by_permutation
from hanmo.generation.settings import GenerationSettings
from hanmo.models.directory import read_config, read_model, write_model
from hanmo.models.families import FAMILIES, family_of

SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 10 else []) for seed in range(100)]
NAMES = list(FAMILIES["xlnet"].architectures)


def random_config(rng: random.Random, **more: Any) -> transformers.XLNetConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    d_head = rng.choice([2, 4, 6] if n_heads % 2 else [1, 3, 5])
    direction = rng.choice(["bi", "bi", "uni"])
    settings = {
        "vocab_size": rng.choice([53, 97, 211]),
        "d_model": n_heads * d_head,
        "n_layer": rng.randint(1, 3),
        "n_head": n_heads,
        "d_inner": rng.choice([13, 40]),
        "ff_activation": rng.choice(["gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu"]),
        "attn_type": direction,
        "layer_norm_eps": rng.choice([1e-12, 1e-5]),
        "mem_len": rng.choice([None, 0, 7, 512]),
        "reuse_len": rng.choice([None, 0, 5]),
        "use_mems_eval": rng.random() < 0.8,
        "use_mems_train": rng.random() < 0.5,
        "bi_data": rng.random() < 0.25,
        "clamp_len": rng.choice([-1, -1, 3, 20]),
        "same_length": rng.random() < 0.4,
        "summary_type": rng.choice(["last", "first", "mean", "cls_index"]),
        "summary_use_proj": rng.random() < 0.7,
        "summary_activation": rng.choice(["tanh", ""]),
        "num_labels": rng.choice([1, 2, 5]),
        "tie_word_embeddings": rng.random() < 0.7,
        "bos_token_id": rng.choice([None, 1]),
        "eos_token_id": None,
        "pad_token_id": rng.choice([None, 5]),
    }
    return transformers.XLNetConfig(**settings | more)


def make_rival(name: str, seed: int, *, noise: float = 0.1, **more: Any) -> transformers.PreTrainedModel:
    config = random_config(random.Random(seed), **more)
    if name.endswith("QuestionAnsweringSimple"):
        config.num_labels = 2
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in rival.parameters():  # biases and norms, too, must carry something to compare
            parameter.add_(torch.randn_like(parameter) * noise)
    return rival


def make_batch(seed: int, config: transformers.XLNetConfig) -> dict[str, Tensor]:
    """Some rows with padding: even seeds on the left, odd ones on the right."""
    rng = torch.Generator().manual_seed(seed)
    # it adds masks of all rows to a causal one in place, which fails there with more than one row
    rows = 1 if config.attn_type == "uni" and not config.bi_data else 4
    length = 1 + int(torch.randint(67, (), generator=rng))
    ids = torch.randint(config.vocab_size, (rows, length), generator=rng)
    batch = {"input_ids": ids}
    if config.attn_type == "bi" or not config.bi_data:
        mask = torch.ones_like(ids)
        for row in range(rows - 1, -1, -2):
            padding = int(torch.randint(length, (), generator=rng))
            mask[row, : padding if seed % 2 == 0 else 0] = 0
            mask[row, length - padding if seed % 2 else length :] = 0
        if seed % 4 == 3:
            batch["input_mask"] = 1.0 - mask
        else:
            batch["attention_mask"] = mask
    if seed % 3:
        batch["token_type_ids"] = torch.randint(3, ids.shape, generator=rng)
    return batch


def add_targets(batch: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Random orders and targets. A target that sees nothing is averaged over everything there, itself included: none."""
    rng = torch.Generator().manual_seed(seed + 1000)
    rows, length = batch["input_ids"].shape
    real = batch.get("attention_mask", 1 - batch.get("input_mask", torch.zeros(rows, length)))
    first = real.float().argmax(-1)
    places = first[:, None] + torch.randint(length, (rows, 3), generator=rng) % (length - first[:, None])
    more = {"target_mapping": F.one_hot(places, length).float()}
    if "attention_mask" in batch or "input_mask" in batch:
        hidden = (torch.rand(rows, length, length, generator=rng) < 0.4).float()
        hidden.scatter_(2, first[:, None, None].expand(-1, length, 1), 0.0)
        more["perm_mask"] = hidden
    return batch | more


def make_labels(name: str, batch: dict[str, Tensor], config: Any, seed: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    rows, length = batch["input_ids"].shape
    if name == "XLNetLMHeadModel":
        n = batch["target_mapping"].shape[1] if "target_mapping" in batch else length
        labels = torch.randint(config.vocab_size, (rows, n), generator=rng)
        labels[:, 1:][torch.rand(rows, n - 1, generator=rng) < 0.3] = -100
        return {"labels": labels}
    if name == "XLNetForSequenceClassification":
        if config.num_labels == 1:
            return {"labels": torch.randn(rows, generator=rng)}
        if seed % 3 == 0:
            return {"labels": torch.randint(2, (rows, config.num_labels), generator=rng).float()}
        return {"labels": torch.randint(config.num_labels, (rows,), generator=rng)}
    if name == "XLNetForTokenClassification":
        return {"labels": torch.randint(config.num_labels, (rows, length), generator=rng)}
    if name == "XLNetForQuestionAnsweringSimple":
        ends = torch.randint(length + 1, (2, rows), generator=rng)
        ends[:, 0] = 0  # one row at least must count
        return {"start_positions": ends[0], "end_positions": ends[1]}
    return {}


def assert_same_outputs(ours: Any, theirs: Any, *, both_theirs: bool = False) -> None:
    for key in theirs:
        if key == "loss":
            torch.testing.assert_close(ours.loss, theirs.loss, rtol=1e-5, atol=1e-6)
            continue
        mine, other = ours[key], theirs[key]
        pairs = [(mine, other)] if isinstance(other, Tensor) else list(zip(mine, other, strict=True))
        for one, two in pairs:
            two = two.transpose(0, 1) if key == "mems" and not both_theirs else two  # positions come first there
            assert one.shape == two.shape, key
            if one.numel():
                assert (one - two).abs().max() <= 1e-5, key
                assert (one - two).abs().mean() <= 1e-6, key


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    assert ours.architecture == name
    batch = make_batch(seed, rival.config)
    # without memory, same_length leaves a position nothing but itself, and a target nothing
    alone = rival.config.attn_type == "uni" and rival.config.same_length
    if name in ("XLNetModel", "XLNetLMHeadModel") and seed % 4 and not alone:
        batch = add_targets(batch, seed)
    mine = ours(**batch, output_hidden_states=True)
    other = rival(**batch, output_hidden_states=True)
    assert_same_outputs(mine, other)
    assert (mine.mems is None) == (not rival.config.use_mems_eval)

    memory = ({}, {})
    if mine.mems is not None:  # the next segment
        memory = {"mems": mine.mems}, {"mems": other.mems}
        assert_same_outputs(ours(**batch, **memory[0]), rival(**batch, **memory[1]))
    labels = make_labels(name, batch, rival.config, seed)
    if not labels:
        return
    mine, other = ours(**batch, **memory[0], **labels), rival(**batch, **memory[1], **labels)
    assert_same_outputs(mine, other)
    mine.loss.backward()
    other.loss.backward()
    assert_same_gradients(ours, rival)


def assert_same_gradients(ours: nn.Module, rival: transformers.PreTrainedModel) -> None:
    theirs = {name: parameter.grad for name, parameter in rival.named_parameters() if parameter.grad is not None}
    seen = set()
    # a gradient that is zero in exact arithmetic is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family_of(ours.config).architecture(ours.architecture).rules(ours.config):
        grad = ours.get_parameter(rule.ours).grad
        for name, part in rule.scatter(grad) if grad is not None else ():
            if name not in theirs:
                assert float(part.abs().max()) == 0, name
                continue
            scale = max(float(theirs[name].abs().max()), floor)
            assert float((part - theirs[name]).abs().max()) <= 1e-4 * scale + 2e-7, name
            seen.add(name)
    assert seen == set(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_greedy_tokens(seed: int, tmp_path: Path) -> None:
    rival = make_rival("XLNetLMHeadModel", seed, noise=0.4, bi_data=False, same_length=False)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    rng = torch.Generator().manual_seed(seed)
    rows = 1 if rival.config.attn_type == "uni" else 2  # see make_batch
    length = 1 + int(torch.randint(67, (), generator=rng))
    prompts = torch.randint(rival.config.vocab_size, (rows, length), generator=rng)
    theirs = rival.generate(prompts, max_new_tokens=32, do_sample=False, pad_token_id=0)[:, length:]
    assert generate_by_permutation(ours, prompts.tolist(), GenerationSettings(max_new_tokens=32)) == theirs.tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_files_survive_the_round_trip(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "theirs")
    write_model(tmp_path / "ours", read_model(tmp_path / "theirs"))
    back = getattr(transformers, name).from_pretrained(tmp_path / "ours")
    back.save_pretrained(tmp_path / "back")
    first, second, third = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours", "back"))
    assert set(first) == set(second) == set(third)
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key])
        assert torch.equal(tensor, third[key])
    assert read_config(tmp_path / "back") == read_config(tmp_path / "theirs")
    batch = make_batch(seed, rival.config)
    assert_same_outputs(back(**batch), rival(**batch), both_theirs=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_our_own_model_loads_there(dtype: torch.dtype, tmp_path: Path) -> None:
    kind = FAMILIES["xlnet"]
    shape = {"vocab_size": 101, "d_model": 30, "n_layers": 2, "n_heads": 5, "eos_id": 7}
    write_model(tmp_path, kind.architecture().build(kind.config.model_validate(shape)), dtype=dtype)
    rival = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(rival).__name__ == "XLNetLMHeadModel"
    assert all(tensor.dtype == dtype for tensor in load_file(tmp_path / "model.safetensors").values())
    assert rival.generation_config.eos_token_id == 7
    assert rival.config.mem_len is None
    ids = torch.randint(101, (2, 19))
    again = read_model(tmp_path, dtype=torch.float32)
    assert (again(ids).logits - rival.float()(ids).logits).abs().max() <= 1e-5


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    rival = make_rival("XLNetLMHeadModel", 0)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    with torch.no_grad():
        ours.backbone.stack.layers[0].attention.inner.distance_bias[0, 0] += 0.5
    ids = torch.randint(rival.config.vocab_size, (4, 30))
    assert (ours(ids).logits - rival(ids).logits).abs().max() > 1e-5


def test_another_head_on_the_same_stack(tmp_path: Path) -> None:
    make_rival("XLNetLMHeadModel", 1).save_pretrained(tmp_path)
    model = read_model(tmp_path, architecture="XLNetForTokenClassification", changes={"labels": ("O", "B-人", "I-人")})
    assert model(torch.tensor([[1, 2], [3, 4]])).logits.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"untie_r": False}, "untie_r = False"),
        ({"d_head": 5}, "d_head 5 is not d_model"),
        ({"d_model": 7, "n_head": 1, "d_head": 7}, "d_model 7 is odd"),
        ({"attn_type": "sideways"}, "direction"),
        ({"summary_type": "attn"}, "summary"),
        ({"summary_activation": "relu"}, "summary_activation"),
        ({"summary_proj_to_labels": True}, "summary_proj_to_labels = True"),
        ({"ff_activation": "mish"}, "activation 'mish'"),
        ({"rotary": True}, "rotary = True"),
    ],
)
def test_settings_that_are_not_supported_are_named(changes: dict[str, Any], match: str, tmp_path: Path) -> None:
    make_rival("XLNetLMHeadModel", 0).config.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(ModelError, match=match):
        read_config(tmp_path)


def test_the_published_settings_are_understood(tmp_path: Path) -> None:
    """config.json of xlnet-base-cased, as version 4 wrote it."""
    published = {
        "architectures": ["XLNetLMHeadModel"], "attn_type": "bi", "bi_data": False, "bos_token_id": 1, "clamp_len": -1,
        "d_head": 64, "d_inner": 3072, "d_model": 768, "dropout": 0.1, "end_n_top": 5, "eos_token_id": 2,
        "ff_activation": "gelu", "initializer_range": 0.02, "layer_norm_eps": 1e-12, "mem_len": None,
        "model_type": "xlnet", "n_head": 12, "n_layer": 12, "pad_token_id": 5, "reuse_len": None, "same_length": False,
        "start_n_top": 5, "summary_activation": "tanh", "summary_last_dropout": 0.1, "summary_type": "last",
        "summary_use_proj": True, "task_specific_params": {"text-generation": {"max_length": 250}}, "untie_r": True,
        "vocab_size": 32000,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(published))
    config: Any = read_config(tmp_path)
    assert (config.d_model, config.n_layers, config.mem_len, config.dropout) == (768, 12, 0, 0.1)
    # what is not there means what it means there
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlnet"}))
    config, theirs = read_config(tmp_path), transformers.XLNetConfig()
    assert (config.mem_len, config.d_ff, config.dropout) == (theirs.mem_len, theirs.d_inner, theirs.dropout)
