"""Soft prompts and prefixes on a model: what they mean, what they leave alone, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hanmo.core.errors import ConfigError, ModelError
from hanmo.generation.decoding import decode
from hanmo.generation.settings import GenerationSettings
from hanmo.models.adapter_files import base_hash, describe_adapter, read_adapter, write_adapter
from hanmo.models.adapter_settings import PrefixSettings, PromptSettings
from hanmo.models.adapters import AdapterSet
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama
from hanmo.models.transformer import TransformerConfig, transformer
from hanmo.models.xlnet import XLNetConfig, xlnet
from hanmo.nn.cache import GrowingCache
from hanmo.nn.sparse import SlidingWindow
from hanmo.nn.virtual_tokens import Prefix
from hanmo.tasks.adapted import save_adapter

KINDS: dict[str, Any] = {
    "prompt": PromptSettings(method="prompt", n_tokens=3),
    "prefix": PrefixSettings(method="prefix", n_tokens=3),
}
both = pytest.mark.parametrize("kind", KINDS)


def small_gpt2(**more: Any) -> Any:
    torch.manual_seed(0)
    shape = {
        "vocab_size": 20,
        "max_len": 16,
        "d_model": 16,
        "n_layers": 2,
        "n_heads": 2,
        "bos_id": None,
        "eos_id": None,
    }
    return gpt2(GPT2Config.model_validate(shape | {"init_std": 0.3} | more)).eval()


def small_llama() -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=20, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, d_head=4, d_ff=12, max_len=16, init_std=0.3
    )
    return llama(config).eval()


def small_bert() -> Any:
    torch.manual_seed(0)
    return bert(
        BertConfig(vocab_size=20, d_model=16, n_layers=2, n_heads=2, d_ff=16, max_len=16, init_std=0.3),
        "BertForMaskedLM",
    ).eval()


def small_transformer() -> Any:
    torch.manual_seed(0)
    shape = {"vocab_size": 20, "d_model": 16, "n_layers": 2, "n_heads": 2, "d_ff": 16, "max_len": 16, "init_std": 0.3}
    return transformer(TransformerConfig.model_validate(shape | {"scale_embedding": False})).eval()


MODELS = {"gpt2": small_gpt2, "llama": small_llama}


def disturbed(model: Any, kind: str) -> AdapterSet:
    adapters = AdapterSet(model)
    with torch.no_grad():
        for parameter in adapters.add("default", KINDS[kind]).trained():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.5)
    return adapters


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_that_begins_as_a_text_is_that_text(model: str) -> None:
    network = MODELS[model]()
    ids, text = torch.tensor([[5, 9, 3]]), [7, 2]
    expected = network(input_ids=torch.tensor([[7, 2, 7, 2, 5, 9, 3]])).logits[:, 4:]
    adapters = AdapterSet(network)
    adapters.add("default", PromptSettings(method="prompt", n_tokens=4, text="any"), start_ids=text)
    assert (network(input_ids=ids).logits - expected).abs().max() < 1e-5


@pytest.mark.parametrize("model", MODELS)
def test_a_prefix_of_what_a_text_left_in_the_cache_is_that_text(model: str) -> None:
    network = MODELS[model]()
    cache = GrowingCache()
    with torch.no_grad():
        network(input_ids=torch.tensor([[7, 2, 11]]), past_key_values=cache)
    expected = network(input_ids=torch.tensor([[7, 2, 11, 5, 9]])).logits[:, 3:]
    prefix = AdapterSet(network).add("default", KINDS["prefix"]).parts[""]
    assert isinstance(prefix, Prefix)
    held = [one[0] for pair in zip(cache.keys, cache.values, strict=True) for one in pair]  # 2L of (G, n, K)
    prefix.vectors.data = torch.stack(held).permute(2, 0, 1, 3).flatten(1)
    assert (network(input_ids=torch.tensor([[5, 9]])).logits - expected).abs().max() < 1e-5


@both
@pytest.mark.parametrize("model", MODELS)
def test_texts_that_share_a_row_have_the_same_virtual_tokens(model: str, kind: str) -> None:
    network = MODELS[model]()
    disturbed(network, kind)
    rows = [[5, 9, 3, 4], [8, 1, 6]]
    alone = torch.cat([network.hidden(torch.tensor([row]))[0] for row in rows])
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 0]])  # the last one is padding
    packed = network.hidden(torch.tensor([[*rows[0], *rows[1], 0]]), position_ids=positions)
    assert (packed[0, :7] - alone).abs().max() < 1e-5


@both
@pytest.mark.parametrize("model", MODELS)
def test_step_by_step_with_a_cache(model: str, kind: str) -> None:
    network = MODELS[model]()
    disturbed(network, kind)
    ids = torch.tensor([[5, 9, 3, 4, 8], [2, 2, 7, 1, 6]])
    whole = network(input_ids=ids).logits
    for cache in (GrowingCache(), network.new_cache(2, 5)):
        with torch.no_grad():
            steps = [network(input_ids=ids[:, a:b], past_key_values=cache).logits for a, b in ((0, 2), (2, 3), (3, 5))]
        assert (torch.cat(steps, 1) - whole).abs().max() < 1e-5


@both
def test_a_text_has_fewer_positions(kind: str, tmp_path: Path) -> None:
    network = small_gpt2()
    adapters = disturbed(network, kind)
    assert network.config.max_len == 13
    network(input_ids=torch.ones(1, 13, dtype=torch.int64))
    with pytest.raises(ConfigError, match="17 positions"):
        network(input_ids=torch.ones(1, 14, dtype=torch.int64))
    decoding = decode(network, [[1, 2, 3]], GenerationSettings(max_new_tokens=100))
    list(decoding)
    assert len(decoding.rows[0]) == 13
    save_adapter(tmp_path, network)
    assert json.loads((tmp_path / "config.json").read_text())["n_positions"] == 16
    with adapters.disabled():
        assert network.config.max_len == 16
    assert network.config.max_len == 13
    adapters.switch(None)
    assert network.config.max_len == 16
    for n in (16, 20):
        with pytest.raises(ConfigError, match=f"{n} virtual tokens leave no room in the 16 positions"):
            adapters.add("more", KINDS[kind].model_copy(update={"n_tokens": n}))


@both
@pytest.mark.parametrize("model", [*MODELS, "bert", "transformer"])
def test_training_lowers_the_loss_and_moves_nothing_else(model: str, kind: str) -> None:
    network = small_transformer() if model == "transformer" else (MODELS | {"bert": small_bert})[model]()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    adapters = AdapterSet(network)
    trained = adapters.add("default", KINDS[kind]).trained()
    assert [p for p in network.parameters() if p.requires_grad] == trained
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 20, (2, 7), generator=draw)
    labels = torch.randint(3, 20, (2, 7), generator=draw) if model == "transformer" else ids
    optimizer = torch.optim.AdamW(trained, lr=0.05)
    losses = []
    for _ in range(60):
        loss = network(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0]
    adapters.switch(None)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@both
def test_switching_merging_and_compiled_kernels(kind: str) -> None:
    network = small_gpt2()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    adapters = disturbed(network, kind)
    ids = torch.tensor([[5, 9, 3]])
    assert [id(parameter) for parameter in adapters.trained()] == [id(network.virtual.vectors)]
    with pytest.raises(ModelError, match=f"kind '{kind}' is no change of matrices and cannot be merged"):
        adapters.merge()
    assert not decode(network, [[1]], GenerationSettings(max_new_tokens=100)).fast
    one = network(input_ids=ids).logits
    adapters.add("other", KINDS["prefix" if kind == "prompt" else "prompt"])
    assert network(input_ids=ids).logits.shape == one.shape
    adapters.switch("default")
    assert torch.equal(network(input_ids=ids).logits, one)
    adapters.remove("default")
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_encoders_and_what_cannot_be() -> None:
    encoder = small_bert()
    disturbed(encoder, "prefix")
    with pytest.raises(ConfigError, match="positions are given"):
        encoder(input_ids=torch.tensor([[1, 2]]), position_ids=torch.tensor([[0, 1]]))
    shape: dict[str, Any] = {"vocab_size": 20, "d_model": 8, "n_layers": 1, "n_heads": 2, "d_ff": 8}
    for other, kind in (
        (xlnet(XLNetConfig.model_validate(shape)), "prompt"),
        (xlnet(XLNetConfig.model_validate(shape)), "prefix"),
    ):
        with pytest.raises(ConfigError, match=r"adapter.method: .*takes no virtual tokens of the kind"):
            AdapterSet(other).add("default", KINDS[kind])
    with pytest.raises(ConfigError, match="scales the vectors of its tokens"):
        AdapterSet(transformer(TransformerConfig.model_validate(shape))).add("default", KINDS["prompt"])
    sparse = small_gpt2(attention=(SlidingWindow(window=2),))
    disturbed(sparse, "prefix")
    with pytest.raises(ConfigError, match="several texts cannot have virtual tokens where attention is sparse"):
        sparse(input_ids=torch.tensor([[1, 2, 3]]), position_ids=torch.tensor([[0, 1, 0]]))


@pytest.mark.parametrize("values", [{"n_tokens": 0}, {"n_tokens": -3}, {"rank": 4}])
@both
def test_impossible_settings(kind: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"n_tokens|rank"):
        type(KINDS[kind]).model_validate({"method": kind} | values)
    if kind == "prompt":
        with pytest.raises(ValueError, match="text"):
            PromptSettings.model_validate({"method": "prompt", "text": ""})


@both
def test_files_and_other_bases(kind: str, tmp_path: Path) -> None:
    network = small_llama()
    write_model(tmp_path / "base", network)
    adapters = AdapterSet(network, base_name=str(tmp_path / "base"), base_hash=base_hash(tmp_path / "base"))
    adapters.add("default", KINDS[kind])
    write_adapter(tmp_path / "adapter", adapters, "default", task_type="CAUSAL_LM")
    expected = network(input_ids=torch.tensor([[5, 9, 3]])).logits
    again = AdapterSet(small_llama(), base_hash=adapters.base_hash)
    read_adapter(again, tmp_path / "adapter")
    assert torch.equal(again.model(input_ids=torch.tensor([[5, 9, 3]])).logits, expected)
    told = describe_adapter(tmp_path / "adapter")
    assert (told["layers"], told["places"], told["whole"]) == (0, [], [])
    assert told["settings"] == ["n_tokens = 3"]
    assert told["parameters"] == adapters["default"].parts[""].vectors.numel()

    with pytest.raises(ModelError, match="trained on another model"):
        read_adapter(AdapterSet(small_llama(), base_hash="0" * 64), tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"prompt_embeddings is \(3, .*expected \(3, "):
        read_adapter(AdapterSet(small_gpt2(d_model=24)), tmp_path / "adapter")
    with pytest.raises(ModelError, match="leave no room in the 3 positions"):
        read_adapter(AdapterSet(small_gpt2(max_len=3)), tmp_path / "adapter")
    config = tmp_path / "adapter" / "adapter_config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"num_virtual_tokens": 4}))
    with pytest.raises(ModelError, match=r"prompt_embeddings is \(3, .*expected \(4, "):
        read_adapter(again, tmp_path / "adapter", "b")
    config.write_text(json.dumps(values | {"num_virtual_tokens": 0}))
    with pytest.raises(ModelError, match="cannot work"):
        read_adapter(again, tmp_path / "adapter", "b")
