"""Encoders and decoders with every head against `transformers`, both directions, on random odd shapes."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from operator import itemgetter
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


def random_roberta(
    rng: random.Random, kind: Callable[..., transformers.PreTrainedConfig] = transformers.RobertaConfig
) -> transformers.PreTrainedConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    pad = rng.choice([0, 1, 3])
    return kind(
        vocab_size=rng.choice([53, 97, 211]),
        hidden_size=n_heads * rng.choice([2, 3, 5, 6]),
        num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=n_heads,
        intermediate_size=rng.choice([13, 40]),
        hidden_act=rng.choice(ACTIVATIONS),
        max_position_embeddings=MAX_LEN + pad + 1,
        type_vocab_size=rng.choice([1, 2]),
        layer_norm_eps=rng.choice([1e-12, 1e-5]),
        classifier_dropout=rng.choice([None, 0.3]),
        num_labels=rng.choice([1, 2, 5]),
        tie_word_embeddings=rng.random() < 0.7,
        pad_token_id=pad,
    )


def random_albert(rng: random.Random) -> transformers.PreTrainedConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    n_layers = rng.randint(1, 4)
    return transformers.AlbertConfig(
        vocab_size=rng.choice([53, 97, 211]),
        embedding_size=rng.choice([3, 7, 16]),
        hidden_size=n_heads * rng.choice([2, 3, 5, 6]),
        num_hidden_layers=n_layers,
        num_hidden_groups=rng.randint(1, n_layers),
        inner_group_num=rng.choice([1, 1, 2]),
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


def random_gpt2(rng: random.Random) -> transformers.PreTrainedConfig:
    n_heads = rng.choice([1, 2, 3, 5, 7])
    return transformers.GPT2Config(
        vocab_size=rng.choice([53, 97, 211]),
        n_positions=MAX_LEN,
        n_embd=n_heads * rng.choice([2, 3, 5, 6]),
        n_layer=rng.randint(1, 3),
        n_head=n_heads,
        n_inner=rng.choice([None, 13, 40]),
        activation_function=rng.choice(ACTIVATIONS),
        num_labels=rng.choice([1, 2, 5]),
        tie_word_embeddings=rng.random() < 0.5,
        pad_token_id=rng.choice([0, 3]),
    )


def random_llama(
    rng: random.Random, kind: Callable[..., transformers.PreTrainedConfig] = transformers.LlamaConfig
) -> transformers.PreTrainedConfig:
    n_kv_heads = rng.choice([1, 2, 3])
    n_heads = n_kv_heads * rng.choice([1, 2, 3])
    return kind(
        vocab_size=rng.choice([53, 97, 211]),
        max_position_embeddings=MAX_LEN,
        hidden_size=n_heads * rng.choice([2, 4, 6]),
        intermediate_size=rng.choice([7, 24, 33]),
        num_hidden_layers=rng.randint(1, 3),
        num_attention_heads=n_heads,
        num_key_value_heads=n_kv_heads,
        head_dim=rng.choice([2, 4, 6]),
        hidden_act=rng.choice(["silu", "gelu", "relu"]),
        num_labels=rng.choice([1, 2, 5]),
        tie_word_embeddings=rng.random() < 0.5,
        pad_token_id=rng.choice([0, 3]),
    )


RANDOM_CONFIGS: dict[str, Callable[[random.Random], transformers.PreTrainedConfig]] = {
    "bert": random_bert,
    "roberta": random_roberta,
    "xlm-roberta": partial(random_roberta, kind=transformers.XLMRobertaConfig),
    "albert": random_albert,
    "gpt2": random_gpt2,
    "llama": random_llama,
    "mistral": partial(random_llama, kind=partial(transformers.MistralConfig, sliding_window=None)),
    "qwen2": partial(random_llama, kind=transformers.Qwen2Config),
    "qwen3": partial(random_llama, kind=transformers.Qwen3Config),
}
DECODERS = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
"""Their language models are in test_causal_lm.py."""
N_FAST = {"xlm-roberta": 2, "mistral": 1, "qwen2": 1, "qwen3": 1}
"""Fast seeds of each class; 3 where there is no family that is built the same way."""


def cases(most: int = 10) -> list[Any]:
    """Each class of each family with 100 seeds; all fast seeds of an encoder together are 0 … 9, or `most` of a class."""
    found = []
    for family in RANDOM_CONFIGS:
        kinds = FAMILIES[family].architectures.items()
        names = [name for name, kind in kinds if not kind.generates and hasattr(transformers, name)]
        n_fast = min(N_FAST.get(family, 3), most)
        for index, name in enumerate(names):
            fast = {(index * n_fast + k) % 10 for k in range(n_fast)}
            found += [
                pytest.param(
                    (family, name), seed, id=f"{name}-{seed}", marks=[] if seed in fast else [pytest.mark.slow]
                )
                for seed in range(100)
            ]
    return found


every_case = pytest.mark.parametrize(("case", "seed"), cases())


def make_rival(case: tuple[str, str], seed: int) -> transformers.PreTrainedModel:
    family, name = case
    config = RANDOM_CONFIGS[family](random.Random(seed))
    if name.endswith(("QuestionAnswering", "PreTraining")):
        config.num_labels = 2
    if name.endswith("SequenceClassification") and seed % 4 == 1:
        config.problem_type = "regression"
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in rival.parameters():  # biases and norms, too, must carry something to compare
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for part in rival.modules():
            if not config.tie_word_embeddings and hasattr(part, "decoder") and hasattr(part, "bias"):
                # a bias that nothing there reads; here the two are one
                part.bias.copy_(part.decoder.bias)
    return rival


def make_batch(seed: int, config: Any) -> dict[str, Tensor]:
    """Three rows; even seeds pad on the left, odd ones on the right."""
    rng = torch.Generator().manual_seed(seed)
    length = 1 + int(torch.randint(MAX_LEN, (), generator=rng))
    ids = torch.randint(config.vocab_size, (3, length), generator=rng)
    mask = torch.ones_like(ids)
    for row in (1, 2):
        padding = int(torch.randint(length, (), generator=rng))
        mask[row, : padding if seed % 2 == 0 else 0] = 0
        mask[row, length - padding if seed % 2 else length :] = 0
    if config.pad_token_id is not None:
        ids = ids.masked_fill(ids == config.pad_token_id, config.pad_token_id + 1)
        ids = ids.masked_fill(mask == 0, config.pad_token_id)
    batch = {"input_ids": ids, "attention_mask": mask}
    if config.model_type not in DECODERS:
        batch["token_type_ids"] = torch.randint(config.type_vocab_size, (3, length), generator=rng)
    return batch


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
        if config.problem_type == "regression":
            return {"labels": torch.randn(rows, config.num_labels, generator=rng)}
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


def assert_same_outputs(ours: Any, rival: nn.Module, batch: dict[str, Tensor], *, decoder: bool) -> None:
    """Where the two are further apart, ours must be that near to what the other model gives in float64: LayerNorm over two or
    three numbers blows up its rounding."""
    with torch.no_grad():
        theirs = rival(**batch, output_hidden_states=True)
        wide: list[Any] = []

        def exact() -> Any:
            if not wide:
                wide.append(deepcopy(rival).double()(**batch, output_hidden_states=True))
            return wide[0]

        def check(mine: Tensor, pick: Callable[[Any], Tensor], rows: Tensor, name: str) -> None:
            if not within(mine[rows], pick(theirs)[rows]):
                assert within(mine[rows], pick(exact())[rows]), name

        expected, mask = tensors_of(theirs), batch["attention_mask"]
        assert expected.keys() <= tensors_of(ours).keys()
        for key, value in expected.items():
            if key in ("last_hidden_state", "prediction_logits", "start_logits", "end_logits") or value.dim() == 3:
                rows = mask.bool()
            else:
                # there the pooled token may be padding
                rows = torch.ones(len(mask), dtype=torch.bool) if decoder else mask[:, 0].bool()
            check(ours[key], itemgetter(key), rows, key)
        assert len(ours.hidden_states) == len(theirs.hidden_states)
        for i, mine in enumerate(ours.hidden_states):
            check(mine, lambda output, i=i: output.hidden_states[i], mask.bool(), f"hidden_states[{i}]")


def within(mine: Tensor, other: Tensor) -> bool:
    difference = (mine - other).abs()
    return bool(difference.max() <= 1e-5) and bool(difference.mean() <= 1e-6)


@every_case
def test_outputs_and_gradients(case: tuple[str, str], seed: int, tmp_path: Path) -> None:
    rival = make_rival(case, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    assert ours.architecture == case[1]
    batch = make_batch(seed, rival.config)
    assert_same_outputs(ours(**batch, output_hidden_states=True), rival, batch, decoder=case[0] in DECODERS)

    labels = make_labels(case[1], batch, rival.config, seed)
    if not labels:
        return
    if case[0] not in DECODERS:
        # in training all rows have their first token: a row whose first token is padding is undefined there
        batch["attention_mask"][:, 0] = 1
    mine, other = ours(**batch, **labels).loss, rival(**batch, **labels).loss
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    mine.backward()
    other.backward()
    if not same_gradients(ours, rival, 1e-4):
        # q/k norms over two numbers blow up the rounding of both: in float64 they must agree all the more
        wide = {name: value.double() if value.is_floating_point() else value for name, value in labels.items()}
        exact = deepcopy(ours).double(), deepcopy(rival).double()
        for model in exact:
            model.zero_grad()
            model(**batch, **wide).loss.backward()
        assert same_gradients(*exact, 2e-5)


def same_gradients(ours: nn.Module, rival: nn.Module, tolerance: float) -> bool:
    """Whether all are as near as this to the other's, relative to the largest number of a tensor."""
    # a tied matrix goes by several names there
    named = dict(rival.named_parameters(remove_duplicate=False))
    theirs = {name: parameter.grad for name, parameter in named.items() if parameter.grad is not None}
    model: Any = ours
    family, seen, near = family_of(model.config), set(), True
    # a gradient that is zero in exact arithmetic (keys' biases) is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family.architecture(model.architecture).rules(model.config):
        grad = model.get_parameter(rule.ours).grad
        for name, part in rule.scatter(grad) if grad is not None else ():
            if name not in theirs:
                assert float(part.abs().max()) == 0, name
                continue
            scale = max(float(theirs[name].abs().max()), floor)
            near &= float((part - theirs[name]).abs().max()) <= tolerance * scale + 2e-7
            seen.add(named[name])
    assert seen == {named[name] for name in theirs}
    return near


@pytest.mark.parametrize(("case", "seed"), cases(most=1))
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
    assert_same_outputs(back(**batch, output_hidden_states=True), rival, batch, decoder=case[0] in DECODERS)
