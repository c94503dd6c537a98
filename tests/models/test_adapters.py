"""Adapters on a model: every place of every family, switching, merging, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.adapter_files import base_hash, describe_adapter, read_adapter, write_adapter
from hanmo.models.adapter_settings import BottleneckSettings, IA3Settings, LoraSettings
from hanmo.models.adapters import AdapterSet, adapters_of
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.families import FAMILIES
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama

IDS = torch.tensor([[5, 9, 3, 17, 4, 11]])


def small_bert() -> Any:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, d_model=64, n_layers=2, n_heads=4, d_ff=80, max_len=16, labels=("坏", "好"))
    return bert(config, "BertForSequenceClassification").eval()


def small_gpt2() -> Any:
    torch.manual_seed(0)
    return gpt2(
        GPT2Config(vocab_size=20, max_len=64, d_model=16, n_layers=2, n_heads=2, bos_id=None, eos_id=None)
    ).eval()


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def disturb(adapters: AdapterSet, name: str, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapters[name].trained():
            parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.2)


SHAPES: dict[str, dict[str, Any]] = {
    "bert": {}, "roberta": {"pad_id": 1}, "albert": {"d_embedding": 6}, "gpt2": {}, "llama": {}, "qwen3": {}, "xlnet": {}, "t5": {"d_head": 4},
    "marian": {},
}  # fmt: skip


@pytest.mark.parametrize("family", SHAPES)
def test_every_place_changes_what_the_model_says(family: str) -> None:
    kind = FAMILIES[family]
    sizes = {
        "vocab_size": 24,
        "d_model": 8,
        "n_layers": 2,
        "n_heads": 2,
        "d_ff": 12,
        "max_len": 20,
        "bos_id": None,
        "eos_id": None,
    }
    known = kind.config.model_fields.keys()
    torch.manual_seed(0)
    model: Any = kind.architecture().build(
        kind.config.model_validate({k: v for k, v in (sizes | SHAPES[family]).items() if k in known})
    )
    model.eval()
    inputs = {"input_ids": IDS} | ({"decoder_input_ids": IDS} if family in ("t5", "marian") else {})

    def said() -> Tensor:
        with torch.no_grad():
            out = model(**inputs)
        both = [out.last_hidden_state if getattr(out, "logits", None) is None else out.logits]
        pooled = getattr(out, "pooler_output", None)
        return torch.cat([one.flatten() for one in [*both, *([] if pooled is None else [pooled])]])

    before = said()
    adapters = AdapterSet(model)
    assert len(adapters.sites) >= 4
    for number, site in enumerate(adapters.sites):
        adapters.add(str(number), LoraSettings(rank=1, targets=(site,)))
        assert torch.equal(said(), before), site  # B is zero
        disturb(adapters, str(number), number)
        assert not torch.equal(said(), before), site
    adapters.switch(None)
    assert torch.equal(said(), before)


def test_switching_merging_and_taking_out_again_is_exact() -> None:
    model = small_bert()
    before, weights = logits(model), {name: p.detach().clone() for name, p in model.named_parameters()}
    adapters = AdapterSet(model)
    assert adapters_of(model) is adapters
    found = {}
    for seed, name in enumerate(("甲", "b")):
        adapters.add(name, LoraSettings(rank=2 + seed, save=("classifier",), dora=bool(seed)))
        disturb(adapters, name, seed)
        found[name] = logits(model)
    assert not torch.allclose(found["甲"], found["b"])
    for name in ("甲", "b", "甲"):
        adapters.switch(name)
        assert torch.equal(logits(model), found[name])
        with adapters.disabled():
            assert torch.equal(logits(model), before)
        assert adapters.active == name
        adapters.merge()
        torch.testing.assert_close(logits(model), found[name], atol=1e-5, rtol=1e-5)
        with adapters.disabled():
            assert torch.equal(logits(model), before)
        assert adapters.merged
        adapters.unmerge()
        assert torch.equal(logits(model), found[name])
    adapters.remove("甲")
    assert adapters.names == ("b",)
    assert torch.equal(logits(model), before)
    assert all(torch.equal(parameter, weights[name]) for name, parameter in model.named_parameters())


def test_nothing_but_the_adapter_has_a_gradient() -> None:
    model = small_bert()
    adapters = AdapterSet(model)
    adapter = adapters.add("a", LoraSettings(targets=("query", "value"), save=("classifier",)))
    model(input_ids=IDS, labels=torch.tensor([1])).loss.backward()
    own = {id(parameter) for parameter in adapter.trained()}
    assert {id(p) for p in model.parameters() if p.requires_grad} == own
    assert {id(p) for p in model.parameters() if p.grad is not None} == own
    assert {id(parameter) for parameter in adapters.trained()} == own
    adapters.switch(None)
    assert adapters.trained() == []


def test_the_other_kinds_change_the_model_and_come_back_from_their_files(tmp_path: Path) -> None:
    kinds = {
        "ia3": IA3Settings(
            method="ia3", targets=("key", "value", "intermediate.dense"), inputs=("intermediate.dense",)
        ),
        "houlsby": BottleneckSettings(method="bottleneck", size=3),
        "pfeiffer": BottleneckSettings(method="bottleneck", size=3, places="pfeiffer"),
    }
    model = small_bert()
    before = logits(model)
    adapters = AdapterSet(model)
    for name, settings in kinds.items():
        adapters.add(name, settings)
        assert torch.equal(logits(model), before)
        disturb(adapters, name, 1)
        changed = logits(model)
        assert not torch.allclose(changed, before, atol=1e-4)
        write_adapter(tmp_path / name, adapters, name)
        read_adapter(adapters, tmp_path / name, f"{name}-again")
        assert torch.equal(logits(model), changed)
    assert len(adapters["houlsby"].parts) == 2 * len(adapters["pfeiffer"].parts) == 4
    with pytest.raises(ModelError, match="cannot be merged"):
        adapters.merge()


@pytest.mark.parametrize(("dtype", "off"), [("bfloat16", 0.01), ("int8", 0.02)])
def test_a_base_in_few_bits(dtype: str, off: float, tmp_path: Path) -> None:
    model = small_bert()
    before = logits(model)
    adapters = AdapterSet(model)
    adapters.hold(dtype)
    assert (logits(model) - before).abs().max() <= off
    held = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    assert held < sum(p.numel() * 4 for p in small_bert().parameters()) * (0.75 if dtype == "bfloat16" else 0.6)
    adapters.add("a", LoraSettings(save=("classifier",)))
    model(input_ids=IDS, labels=torch.tensor([1])).loss.backward()
    assert all(p.grad is not None for p in adapters["a"].trained())
    with pytest.raises(ConfigError, match="before the first adapter"):
        adapters.hold(dtype)
    adapters.switch(None)
    with pytest.raises(ModelError, match="held in few bits"):
        write_model(tmp_path, model)


def test_text_is_written_by_the_merged_model_and_not_by_a_stale_copy() -> None:
    from hanmo.generation import GenerationSettings, decode

    model = small_gpt2()
    adapters = AdapterSet(model)

    def written() -> list[Any]:
        return [step[0] for step in decode(model, [[1, 2, 3]], GenerationSettings(max_new_tokens=24, temperature=0))]

    found = {None: written()}
    for seed, name in enumerate("ab"):
        adapters.add(name, LoraSettings(rank=4, alpha=64))
        disturb(adapters, name, seed)
        found[name] = written()
    assert len({tuple(text) for text in found.values()}) == 3
    for name in ("a", "b", None, "b", "a"):
        adapters.switch(name)
        if name is not None:
            adapters.merge()
        assert written() == found[name]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (LoraSettings(targets=("quer",)), r"'quer'.*There are: .*query"),
        (LoraSettings(targets=".*nothing"), "no linear layer"),
        (LoraSettings(targets="("), "not a regular expression"),
        (LoraSettings(targets=()), "nothing"),
        (LoraSettings(save=("klassifier",)), r"'klassifier'.*classifier"),
        (LoraSettings(save=("query",)), "one matrix with others"),
        (IA3Settings(method="ia3", targets=("query",), inputs=("query",)), "inputs of .* cannot be scaled alone"),
    ],
)
def test_patterns_that_cannot_be_are_named(settings: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        AdapterSet(small_bert()).add("a", settings)


def test_names_and_tied_tables() -> None:
    adapters = AdapterSet(small_gpt2())
    adapters.add("a", LoraSettings())
    for name, match in (("a", "already"), ("a/b", "no name"), ("", "no name")):
        with pytest.raises(ConfigError, match=match):
            adapters.add(name, LoraSettings())
    with pytest.raises(ConfigError, match="There are: a"):
        adapters.switch("b")
    with pytest.raises(ConfigError, match="tied to the output"):
        adapters.add("c", LoraSettings(save=("wte",)))
    with pytest.raises(ConfigError, match="already"):
        AdapterSet(adapters.model)


@pytest.mark.parametrize("values", [{"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"ranks": {"query": 0}}, {"r": 8}])
def test_sizes_that_cannot_be(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rank|alpha|dropout|r\n"):
        LoraSettings.model_validate(values)


def stored(folder: Path) -> AdapterSet:
    model = small_bert()
    write_model(folder / "base", model)
    adapters = AdapterSet(model, base_name=str(folder / "base"), base_hash=base_hash(folder / "base"))
    adapters.add("a", LoraSettings(ranks={"layer.0.*query": 2}, alphas={"value": 3}, save=("classifier",), rslora=True))
    disturb(adapters, "a", 0)
    write_adapter(folder / "adapter", adapters, "a", task_type="SEQ_CLS")
    return adapters


def test_files_hold_everything(tmp_path: Path) -> None:
    adapters = stored(tmp_path)
    expected = logits(adapters.model)
    again = AdapterSet(small_bert(), base_hash=adapters.base_hash)
    read_adapter(again, tmp_path / "adapter")
    assert torch.equal(logits(again.model), expected)
    assert not any(p.requires_grad for p in again.model.parameters())
    told = describe_adapter(tmp_path / "adapter")
    assert told["kind"] == "LORA"
    assert told["base_sha256"] == adapters.base_hash
    assert told["layers"] == 13
    assert told["parameters"] == sum(p.numel() for p in adapters["a"].trained())


def test_an_adapter_of_another_base(tmp_path: Path) -> None:
    stored(tmp_path)
    with pytest.raises(ModelError, match="trained on another model"):
        read_adapter(AdapterSet(small_bert(), base_hash="0" * 64), tmp_path / "adapter")
    config = LlamaConfig(vocab_size=20, d_model=8, n_layers=1, n_heads=2, n_kv_heads=1, d_head=4, d_ff=12, max_len=16)
    with pytest.raises(ModelError, match="layers that this model does not have"):
        read_adapter(AdapterSet(llama(config)), tmp_path / "adapter")
    wider = BertConfig(vocab_size=20, d_model=32, n_layers=2, n_heads=4, d_ff=80, max_len=16, labels=("坏", "好"))
    with pytest.raises(ModelError, match="does not fit the model"):
        read_adapter(AdapterSet(bert(wider, "BertForSequenceClassification")), tmp_path / "adapter")


def test_damaged_files_are_named(tmp_path: Path) -> None:
    adapters = stored(tmp_path)
    folder = tmp_path / "adapter"
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    whole, told = weights.read_bytes(), json.loads(config.read_text())
    for n in (0, 7, 100, len(whole) - 1):
        weights.write_bytes(whole[:n])
        with pytest.raises(ModelError, match="not a whole safetensors file"):
            read_adapter(adapters, folder, "c")
    weights.unlink()
    for reads in (lambda: read_adapter(adapters, folder, "c"), lambda: describe_adapter(folder)):
        with pytest.raises(ModelError, match="this file is missing"):
            reads()
    weights.write_bytes(whole)
    tensors = load_file(weights)
    name = next(iter(tensors))
    for change, match in (
        ({name: tensors[name].int()}, f"{name.removeprefix('base_model.model.')} holds I32"),
        ({name.removeprefix("base_model.model."): tensors[name].clone()}, "is there twice"),
        ({"base_model.model.surprise": tensors[name].clone()}, "surprise .* is not part of this model"),
    ):
        save_file(tensors | change, weights)
        with pytest.raises(ModelError, match=match):
            read_adapter(adapters, folder, "c")
    weights.write_bytes(whole)
    for change, match in (
        ({"peft_type": "LOHA"}, "'LOHA' is not supported"),
        ({"r": 0}, "cannot work"),
        ({"r": 5}, "does not fit"),
        ({"bias": "all"}, "bias = 'all'"),
        ({"init_lora_weights": "pissa"}, "changes the base"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
    ):
        config.write_text(json.dumps(told | change))
        with pytest.raises(ModelError, match=match):
            read_adapter(adapters, folder, "c")
    config.write_text("{")
    with pytest.raises(ModelError, match="cannot read"):
        read_adapter(adapters, folder, "c")
    config.unlink()
    with pytest.raises(ModelError, match="missing"):
        read_adapter(adapters, folder, "c")
    assert adapters.names == ("a",)
