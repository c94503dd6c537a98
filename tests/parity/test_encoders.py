"""Encoders with every head against `transformers`, both directions, on random odd shapes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES, family_of

MAX_LEN = 67
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 10 else []) for seed in range(100)]
ACTIVATIONS = ["gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh", "quick_gelu"]


def random_bert(rng: random.Random) -> transformers.PreTrainedConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    return transformers.BertConfig(
        vocab_size=rng.choice([53, 97, 211]),
        hidden_size=n_heads * rng.choice([2, 3, 5, 6]),
        num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=n_heads,
        intermediate_size=rng.choice([13, 40]),
        hidden_act=rng.choice(ACTIVATIONS),
        max_position_embeddings=MAX_LEN,
        type_vocab_size=rng.choice([1, 2, 3]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        num_labels=rng.choice([1, 2, 5]),
        tie_word_embeddings=rng.random() < 0.7,
        pad_token_id=rng.choice([None, 0, 3]),
    )


RANDOM_CONFIGS = {"bert": random_bert}
CASES = [(family, name) for family in RANDOM_CONFIGS for name in FAMILIES[family].architectures]


@pytest.fixture(params=CASES, ids=[name for _, name in CASES])
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def make_rival(case: tuple[str, str], seed: int) -> transformers.PreTrainedModel:
    family, name = case
    config = RANDOM_CONFIGS[family](random.Random(seed))
    if name.endswith("QuestionAnswering"):
        config.num_labels = 2
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in rival.parameters():  # biases and norms, too, must carry something to compare
            parameter.add_(torch.randn_like(parameter) * 0.1)
        if not config.tie_word_embeddings and hasattr(rival, "cls") and hasattr(rival.cls, "predictions"):
            # a bias that nothing there reads; here the two are one
            rival.cls.predictions.bias.copy_(rival.cls.predictions.decoder.bias)
    return rival


def make_batch(seed: int, config: Any) -> dict[str, Tensor]:
    """Three rows; even seeds pad on the left, odd ones on the right."""
    rng = torch.Generator().manual_seed(seed)
    room = MAX_LEN if config.model_type in ("bert", "albert") else MAX_LEN - config.pad_token_id - 1
    length = 1 + int(torch.randint(room, (), generator=rng))
    ids = torch.randint(config.vocab_size, (3, length), generator=rng)
    mask = torch.ones_like(ids)
    for row in (1, 2):
        padding = int(torch.randint(length, (), generator=rng))
        mask[row, : padding if seed % 2 == 0 else 0] = 0
        mask[row, length - padding if seed % 2 else length :] = 0
    if config.pad_token_id is not None:
        ids = ids.masked_fill(mask == 0, config.pad_token_id)
    segments = torch.randint(config.type_vocab_size, (3, length), generator=rng)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}


def make_labels(name: str, batch: dict[str, Tensor], config: Any, seed: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    rows, length = batch["input_ids"].shape
    per_token = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    pair = torch.randint(2, (rows,), generator=rng)
    if name.endswith("ForPreTraining"):
        return {"labels": per_token, ("sentence_order_label" if "Albert" in name else "next_sentence_label"): pair}
    if name.endswith("ForMaskedLM"):
        return {"labels": per_token}
    if name.endswith("ForNextSentencePrediction"):
        return {"labels": pair}
    if name.endswith("ForSequenceClassification"):
        if config.num_labels == 1:
            return {"labels": torch.randn(rows, generator=rng)}
        if seed % 3 == 0:
            return {"labels": torch.randint(2, (rows, config.num_labels), generator=rng).float()}
        return {"labels": torch.randint(config.num_labels, (rows,), generator=rng)}
    if name.endswith("ForTokenClassification"):
        labels = torch.randint(config.num_labels, (rows, length), generator=rng)
        return {"labels": labels.masked_fill(batch["attention_mask"] == 0, -100)}
    if name.endswith("ForQuestionAnswering"):
        ends = torch.randint(length + 1, (2, rows), generator=rng)
        ends[:, 0] = 0  # one row at least must count
        return {"start_positions": ends[0], "end_positions": ends[1]}
    return {}


def tensors_of(output: Any) -> dict[str, Tensor]:
    return {key: output[key] for key in output if isinstance(output[key], Tensor) and output[key].dim()}


def assert_same_outputs(ours: Any, theirs: Any, mask: Tensor) -> None:
    expected = tensors_of(theirs)
    assert expected.keys() <= tensors_of(ours).keys()
    for key, value in expected.items():
        difference = (ours[key] - value).abs()
        if difference.shape[:2] == mask.shape:
            difference = difference[mask.bool()]
        elif key == "pooler_output" or difference.dim() == 2:
            # the pooled token itself may be padding
            difference = difference[mask[:, 0].bool()]
        assert difference.max() <= 1e-5, key
        assert difference.mean() <= 1e-6, key


@pytest.mark.parametrize("seed", SEEDS)
def test_outputs_and_gradients(case: tuple[str, str], seed: int, tmp_path: Path) -> None:
    rival = make_rival(case, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    assert ours.architecture == case[1]
    batch = make_batch(seed, rival.config)
    out, theirs = ours(**batch), rival(**batch)
    assert_same_outputs(out, theirs, batch["attention_mask"])

    labels = make_labels(case[1], batch, rival.config, seed)
    if not labels:
        return
    # in training all rows have their first token: a row whose first token is padding is undefined there
    batch["attention_mask"][:, 0] = 1
    mine, other = ours(**batch, **labels).loss, rival(**batch, **labels).loss
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    mine.backward()
    other.backward()
    assert_same_gradients(ours, rival)


def assert_same_gradients(ours: nn.Module, rival: transformers.PreTrainedModel) -> None:
    theirs = {name: parameter.grad for name, parameter in rival.named_parameters() if parameter.grad is not None}
    family, seen = family_of(ours.config), set()
    # a gradient that is zero in exact arithmetic (keys' biases) is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family.architecture(ours.architecture).rules(ours.config):
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
def test_files_survive_the_round_trip(case: tuple[str, str], seed: int, tmp_path: Path) -> None:
    rival = make_rival(case, seed)
    rival.save_pretrained(tmp_path / "theirs")
    write_model(tmp_path / "ours", read_model(tmp_path / "theirs"))
    back = getattr(transformers, case[1]).from_pretrained(tmp_path / "ours")
    back.save_pretrained(tmp_path / "back")
    first, second, third = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours", "back"))
    assert set(first) == set(second) == set(third)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name])
        assert torch.equal(tensor, third[name])
    assert read_model(tmp_path / "back").config == read_model(tmp_path / "theirs").config
    batch = make_batch(seed, rival.config)
    assert_same_outputs(back(**batch), rival(**batch), batch["attention_mask"])
