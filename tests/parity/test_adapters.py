"""Adapters against `peft`, both directions, on every family and random odd shapes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from hanmo.generation.beam import BeamSettings, beam_search
from hanmo.generation.decoding import decode
from hanmo.generation.seq2seq import generate_seq2seq
from hanmo.generation.settings import GenerationSettings
from hanmo.models.adapter_files import read_adapter, write_adapter
from hanmo.models.adapter_settings import IA3Settings, LoraSettings, PrefixSettings, PromptSettings
from hanmo.models.adapters import AdapterSet
from hanmo.models.directory import read_model

pytestmark = [
    # of peft, about itself, about layers stored (in, out), and about models that no folder holds
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to"),
    pytest.mark.filterwarnings("ignore:Could not find a config file"),
    pytest.mark.filterwarnings("ignore::UserWarning:peft.*"),
]


@dataclass(frozen=True)
class Case:
    """One class with what is tried on it."""

    config: Callable[[random.Random], transformers.PreTrainedConfig]
    targets: str | list[str]
    save: tuple[str, ...] = ()


# LayerNorm over two numbers leaves nothing but which is greater, whatever an adapter does: widths begin at 3


def _bert(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3, 5])
    return transformers.BertConfig(
        vocab_size=53, hidden_size=heads * rng.choice([3, 4, 5]), num_hidden_layers=rng.randint(1, 3), num_labels=3,
        num_attention_heads=heads, intermediate_size=rng.choice([13, 40]), max_position_embeddings=31,
    )  # fmt: skip


def _roberta(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3, 5])
    return transformers.RobertaConfig(
        vocab_size=53, hidden_size=heads * rng.choice([3, 4, 5]), num_hidden_layers=rng.randint(1, 3), num_labels=3,
        num_attention_heads=heads, intermediate_size=rng.choice([13, 40]), max_position_embeddings=33,
    )  # fmt: skip


def _albert(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3])
    return transformers.AlbertConfig(
        vocab_size=53, embedding_size=7, hidden_size=heads * rng.choice([3, 5]), num_hidden_layers=4, num_labels=3,
        num_hidden_groups=rng.choice([1, 2]), num_attention_heads=heads, intermediate_size=13, max_position_embeddings=31,
    )  # fmt: skip


def _gpt2(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3, 5])
    return transformers.GPT2Config(
        vocab_size=53, n_positions=31, n_embd=heads * rng.choice([3, 4, 6]), n_layer=rng.randint(1, 3), n_head=heads,
        n_inner=rng.choice([None, 13]), num_labels=3, bos_token_id=None, eos_token_id=None, pad_token_id=0,
    )  # fmt: skip


def _rotary(kind: Any) -> Callable[[random.Random], transformers.PreTrainedConfig]:
    def make(rng: random.Random) -> transformers.PreTrainedConfig:
        few = rng.choice([1, 2, 3])
        heads = few * rng.choice([1, 2, 3])
        return kind(
            vocab_size=53, max_position_embeddings=31, hidden_size=heads * rng.choice([2, 4]), intermediate_size=13,
            num_hidden_layers=rng.randint(1, 3), num_attention_heads=heads, num_key_value_heads=few,
            head_dim=rng.choice([2, 4]), num_labels=3, tie_word_embeddings=rng.random() < 0.5, pad_token_id=0,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip

    return make


def _t5(rng: random.Random) -> transformers.PreTrainedConfig:
    return transformers.T5Config(
        vocab_size=53, d_model=rng.choice([6, 10]), d_kv=rng.choice([2, 3]), d_ff=13, num_layers=rng.randint(1, 2),
        num_decoder_layers=rng.randint(1, 3), num_heads=rng.choice([2, 3]), decoder_start_token_id=0,
        feed_forward_proj=rng.choice(["relu", "gated-gelu"]),
    )  # fmt: skip


def _marian(rng: random.Random) -> transformers.PreTrainedConfig:
    return transformers.MarianConfig(
        vocab_size=53, d_model=12, encoder_layers=rng.randint(1, 2), decoder_layers=rng.randint(1, 2), encoder_ffn_dim=13,
        decoder_ffn_dim=13, encoder_attention_heads=3, decoder_attention_heads=3, max_position_embeddings=31,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, scale_embedding=True,
    )  # fmt: skip


def _xlnet(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3])
    return transformers.XLNetConfig(
        vocab_size=53, d_model=heads * rng.choice([4, 6]), n_layer=rng.randint(1, 3), n_head=heads, d_inner=13, num_labels=3,
    )  # fmt: skip


def _clip(rng: random.Random) -> transformers.PreTrainedConfig:
    heads = rng.choice([1, 2, 3])
    tower = {"hidden_size": heads * 4, "num_attention_heads": heads, "intermediate_size": 13, "num_hidden_layers": 2}
    return transformers.CLIPConfig(
        text_config={**tower, "vocab_size": 53, "max_position_embeddings": 31, "eos_token_id": 2},
        vision_config={**tower, "image_size": 12, "patch_size": 4},
        projection_dim=6,
    )


CASES = {
    "BertForSequenceClassification": Case(_bert, ["query", "value"], ("classifier",)),
    "BertForTokenClassification": Case(_bert, r".*layer\.0\..*dense", ("classifier",)),
    "BertForMaskedLM": Case(_bert, ["key", "attention.output.dense", "intermediate.dense"]),
    "BertModel": Case(_bert, ["query", "pooler.dense"]),
    "RobertaForSequenceClassification": Case(_roberta, ["query", "output.dense"], ("classifier",)),
    "AlbertForSequenceClassification": Case(
        _albert, ["query", "value", "ffn", "embedding_hidden_mapping_in"], ("classifier",)
    ),
    "GPT2LMHeadModel": Case(_gpt2, ["c_attn", "c_proj", "c_fc"]),
    "GPT2ForSequenceClassification": Case(_gpt2, ["c_attn"], ("score",)),
    "LlamaForCausalLM": Case(_rotary(transformers.LlamaConfig), ["q_proj", "v_proj", "down_proj", "up_proj"]),
    "LlamaForSequenceClassification": Case(_rotary(transformers.LlamaConfig), ["k_proj", "gate_proj"], ("score",)),
    "MistralForCausalLM": Case(_rotary(transformers.MistralConfig), ["o_proj"]),
    "Qwen2ForCausalLM": Case(_rotary(transformers.Qwen2Config), ["q_proj", "k_proj", "v_proj"]),
    "Qwen3ForCausalLM": Case(_rotary(transformers.Qwen3Config), ["q_proj", "v_proj", "gate_proj"]),
    "T5ForConditionalGeneration": Case(_t5, ["q", "v", "wo"]),
    "MarianMTModel": Case(_marian, ["q_proj", "k_proj", "fc2"]),
    "XLNetForSequenceClassification": Case(_xlnet, ["layer_1", "layer_2"], ("logits_proj",)),
    "CLIPModel": Case(_clip, ["q_proj", "v_proj", "fc1", "visual_projection"]),
}
VARIANTS: list[dict[str, Any]] = [{}, {"use_rslora": True}, {"use_dora": True}]
every_case = pytest.mark.parametrize("name", CASES)
seeds = pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))])


def make_rival(name: str, seed: int) -> Any:
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(CASES[name].config(random.Random(seed))).eval()
    with torch.no_grad():
        for key, parameter in rival.named_parameters():
            if "embed_positions" not in key:  # sines and cosines
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return rival


def make_batch(name: str, seed: int) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 53, (2, 9), generator=rng)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "CLIPModel":
        ids[:, -1] = 52
        batch["pixel_values"] = torch.randn(2, 3, 12, 12, generator=rng)
    if name.startswith(("T5", "Marian")):
        batch["decoder_input_ids"] = torch.randint(3, 53, (2, 5), generator=rng)
    return batch


def outputs(model: Any, batch: dict[str, Tensor]) -> Tensor:
    out = model(**batch)
    for key in ("logits", "logits_per_text", "pooler_output"):
        if getattr(out, key, None) is not None:
            return out[key]
    raise AssertionError(f"nothing to compare in {list(out)}")


def near(ours: Tensor, theirs: Tensor) -> bool:
    """1e-5, times the size of what is compared: what rounding grows with. Float64 tells whether it was rounding."""
    return bool((ours - theirs).abs().max() <= 1e-5 * max(1.0, float(theirs.detach().abs().max())))


def disturb(parameters: Any, seed: int) -> None:
    """Values that change something: B begins with zeros."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn(parameter.shape, generator=rng) * 0.2)


@every_case
@seeds
@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_lora_from_peft(name: str, seed: int, variant: int, tmp_path: Path) -> None:
    rng, case = random.Random(seed + variant), CASES[name]
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "base")
    config = peft.LoraConfig(
        r=rng.choice([1, 3, 5]), lora_alpha=rng.choice([2, 7]), target_modules=case.targets,
        modules_to_save=list(case.save) or None, fan_in_fan_out=name.startswith("GPT2"), **VARIANTS[variant],
    )  # fmt: skip
    theirs = peft.get_peft_model(rival, config).eval()
    disturb((p for p in theirs.parameters() if p.requires_grad), seed)
    theirs.save_pretrained(tmp_path / "adapter")

    model = read_model(tmp_path / "base")
    adapters = AdapterSet(model)
    before = outputs(model, make_batch(name, seed))
    adapter = read_adapter(adapters, tmp_path / "adapter")
    for parameter in adapter.trained():
        parameter.requires_grad_(True)
    batch = make_batch(name, seed)
    ours, expected = outputs(model, batch), outputs(theirs, batch)
    assert near(ours, expected)
    assert (ours - before).abs().max() > 1e-3

    adapters.merge()
    assert near(outputs(model, batch), expected)
    adapters.switch(None)
    assert torch.equal(outputs(model, batch), before)

    adapters.switch("default")
    batch = in_float64(model, theirs, batch)
    ours, expected = outputs(model, batch), outputs(theirs, batch)
    assert (ours - expected).abs().max() <= 1e-9
    ours.square().sum().backward()
    expected.square().sum().backward()
    _same_gradients(adapters, theirs, tmp_path)


def in_float64(model: Any, theirs: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both in float64, where rounding hides nothing: in float32 norms over few numbers enlarge it a thousand times in the
    gradients, and by how much depends on the seed. `transformers` computes norms in float32 all the same."""
    for network in (model, theirs):
        network.double()
    for norm in theirs.modules():
        if type(norm).__name__.endswith(("RMSNorm", "T5LayerNorm")):
            norm.forward = partial(_rms_norm, norm)
    return {key: value.double() if value.is_floating_point() else value for key, value in batch.items()}


def _rms_norm(norm: Any, x: Tensor) -> Tensor:
    return norm.weight * x * (x.square().mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()


def _same_gradients(adapters: AdapterSet, theirs: Any, folder: Path) -> None:
    """Written as adapters, the gradients of both have the same names: compare the files."""
    floor = 0.0
    for parameter in (*adapters["default"].trained(), *(p for p in theirs.parameters() if p.requires_grad)):
        assert parameter.dtype == torch.float64
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        floor = max(floor, float(parameter.data.abs().max()))
    write_adapter(folder / "ours", adapters, "default")
    theirs.save_pretrained(folder / "theirs")
    mine, other = (load_file(folder / which / "adapter_model.safetensors") for which in ("ours", "theirs"))
    assert mine.keys() == other.keys()
    for key, value in other.items():
        assert (mine[key] - value).abs().max() <= 1e-9 * max(float(value.abs().max()), 1e-3 * floor), key


@every_case
@seeds
@pytest.mark.parametrize("variant", range(len(VARIANTS)))
def test_lora_to_peft(name: str, seed: int, variant: int, tmp_path: Path) -> None:
    rng, case = random.Random(seed + variant), CASES[name]
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "base")
    model = read_model(tmp_path / "base")
    adapters = AdapterSet(model, base_name=str(tmp_path / "base"))
    flags = VARIANTS[variant]
    settings = LoraSettings(
        rank=rng.choice([1, 3, 5]), alpha=rng.choice([2.0, 7.5]), save=case.save,
        targets=case.targets if isinstance(case.targets, str) else tuple(case.targets),
        rslora="use_rslora" in flags, dora="use_dora" in flags,
    )  # fmt: skip
    adapter = adapters.add("default", settings)
    disturb(adapter.trained(), seed)
    write_adapter(tmp_path / "adapter", adapters, "default")
    theirs = peft.PeftModel.from_pretrained(rival, str(tmp_path / "adapter")).eval()
    batch = in_float64(model, theirs, make_batch(name, seed))
    assert (outputs(model, batch) - outputs(theirs, batch)).abs().max() <= 1e-9


IA3: dict[str, tuple[list[str], list[str]]] = {
    "BertForSequenceClassification": (["key", "value", "intermediate.dense"], ["intermediate.dense"]),
    "GPT2LMHeadModel": (["c_attn", "mlp.c_proj"], ["mlp.c_proj"]),
    "LlamaForCausalLM": (["k_proj", "v_proj", "down_proj"], ["down_proj"]),
    "T5ForConditionalGeneration": (["k", "v", "wo"], ["wo"]),
    "AlbertForSequenceClassification": (["key", "value", "ffn_output"], []),
}


@pytest.mark.parametrize("name", IA3)
@seeds
def test_ia3_both_ways(name: str, seed: int, tmp_path: Path) -> None:
    case, (targets, inputs) = CASES[name], IA3[name]
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "base")
    config = peft.IA3Config(
        target_modules=targets, feedforward_modules=inputs, modules_to_save=list(case.save) or None,
        fan_in_fan_out=name.startswith("GPT2"),
    )  # fmt: skip
    theirs = peft.get_peft_model(rival, config).eval()
    disturb((p for p in theirs.parameters() if p.requires_grad), seed)
    theirs.save_pretrained(tmp_path / "theirs")
    batch = make_batch(name, seed)
    expected = outputs(theirs, batch)

    model = read_model(tmp_path / "base")
    adapters = AdapterSet(model, base_name=str(tmp_path / "base"))
    before = outputs(model, batch)
    read_adapter(adapters, tmp_path / "theirs", "theirs")
    assert near(outputs(model, batch), expected)
    assert (expected - before).abs().max() > 1e-3
    adapters.merge()
    assert near(outputs(model, batch), expected)

    settings = IA3Settings(method="ia3", targets=tuple(targets), inputs=tuple(inputs), save=case.save)
    disturb(adapters.add("ours", settings).trained(), seed + 1)
    write_adapter(tmp_path / "ours", adapters, "ours")
    again = getattr(transformers, name).from_pretrained(tmp_path / "base").eval()
    loaded = peft.PeftModel.from_pretrained(again, str(tmp_path / "ours")).eval()
    assert near(outputs(loaded, batch), outputs(model, batch))


TASKS = {
    "BertForSequenceClassification": "SEQ_CLS",
    "BertForTokenClassification": "TOKEN_CLS",
    "RobertaForSequenceClassification": "SEQ_CLS",
    "AlbertForSequenceClassification": "SEQ_CLS",
    "GPT2LMHeadModel": "CAUSAL_LM",
    "GPT2ForSequenceClassification": "SEQ_CLS",
    "LlamaForCausalLM": "CAUSAL_LM",
    "LlamaForSequenceClassification": "SEQ_CLS",
    "MistralForCausalLM": "CAUSAL_LM",
    "Qwen2ForCausalLM": "CAUSAL_LM",
    "Qwen3ForCausalLM": "CAUSAL_LM",
    "T5ForConditionalGeneration": "SEQ_2_SEQ_LM",
    "MarianMTModel": "SEQ_2_SEQ_LM",
}
NO_PROMPT = {"MarianMTModel"}  # `transformers` scales token vectors there, which peft forgets
NO_PREFIX = {"AlbertForSequenceClassification"}  # peft refuses
VIRTUAL = [("prompt", name) for name in TASKS if name not in NO_PROMPT]
VIRTUAL += [("prefix", name) for name in TASKS if name not in NO_PREFIX]
every_virtual = pytest.mark.parametrize(("method", "name"), VIRTUAL)


def virtual_config(method: str, name: str, rival: Any, n: int) -> Any:
    """What peft would take by itself it takes wrongly where widths are not all one: given here."""
    c, config = rival.config, peft.PrefixTuningConfig if method == "prefix" else peft.PromptTuningConfig
    heads = getattr(c, "num_key_value_heads", None) or c.num_attention_heads
    width = getattr(c, "d_kv", None) or getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    token_dim = heads * width if method == "prefix" else rival.get_input_embeddings().weight.shape[1]
    layers = getattr(c, "num_decoder_layers", None) or getattr(c, "decoder_layers", None) or c.num_hidden_layers
    return config(
        num_virtual_tokens=n, task_type=TASKS[name], token_dim=token_dim, num_layers=layers, num_attention_heads=heads,
        modules_to_save=list(CASES[name].save) or None,
    )  # fmt: skip


def padded(batch: dict[str, Tensor], method: str, name: str) -> dict[str, Tensor]:
    """The second row is shorter, where `transformers` can tell from what peft hands it."""
    if not (method == "prompt" and name.endswith("ForSequenceClassification") and name.startswith(("GPT2", "Llama"))):
        batch["attention_mask"][1, 6:] = 0
        batch["input_ids"][1, 6:] = {"RobertaForSequenceClassification": 1}.get(name, 0)
    return batch


def own_logits(model: Any, batch: dict[str, Tensor], method: str, name: str) -> Tensor:
    """Of the text's own real tokens: peft returns those of its prompt too."""
    logits = outputs(model, batch)
    if "SequenceClassification" in name:
        return logits
    length = (batch.get("decoder_input_ids", batch["input_ids"])).shape[1]
    logits = logits[:, -length:]
    return logits if "decoder_input_ids" in batch else logits[batch["attention_mask"].bool()]


@every_virtual
@seeds
def test_virtual_tokens_from_peft(method: str, name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "base")
    theirs = peft.get_peft_model(rival, virtual_config(method, name, rival, 1 + seed % 5)).eval()
    disturb((p for p in theirs.parameters() if p.requires_grad), seed)
    theirs.save_pretrained(tmp_path / "adapter")

    model = read_model(tmp_path / "base")
    adapters = AdapterSet(model)
    batch = padded(make_batch(name, seed), method, name)
    before = own_logits(model, batch, method, name)
    adapter = read_adapter(adapters, tmp_path / "adapter")
    for parameter in adapter.trained():
        parameter.requires_grad_(True)
    ours, expected = own_logits(model, batch, method, name), own_logits(theirs, batch, method, name)
    assert near(ours, expected)
    assert (ours - before).abs().max() > 1e-3
    adapters.switch(None)
    assert torch.equal(own_logits(model, batch, method, name), before)

    adapters.switch("default")
    batch = in_float64(model, theirs, batch)
    ours, expected = own_logits(model, batch, method, name), own_logits(theirs, batch, method, name)
    assert (ours - expected).abs().max() <= 1e-9
    ours.square().sum().backward()
    expected.square().sum().backward()
    mine = adapter.parts[""].vectors.grad
    other = theirs.prompt_encoder["default"].embedding.weight.grad[: len(mine)]
    assert (mine - other).abs().max() <= 1e-9 * other.abs().max()


@every_virtual
@seeds
def test_virtual_tokens_to_peft(method: str, name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path / "base")
    model = read_model(tmp_path / "base")
    adapters = AdapterSet(model, base_name=str(tmp_path / "base"))
    kind = PrefixSettings if method == "prefix" else PromptSettings
    settings = kind.model_validate({"method": method, "n_tokens": 1 + seed % 5, "save": CASES[name].save})
    disturb(adapters.add("default", settings).trained(), seed)
    write_adapter(tmp_path / "adapter", adapters, "default", task_type=TASKS[name])
    theirs = peft.PeftModel.from_pretrained(rival, str(tmp_path / "adapter")).eval()
    batch = padded(make_batch(name, seed), method, name)
    assert near(own_logits(model, batch, method, name), own_logits(theirs, batch, method, name))


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("name", ["GPT2LMHeadModel", "LlamaForCausalLM", "T5ForConditionalGeneration"])
def test_generation_with_virtual_tokens(method: str, name: str, tmp_path: Path) -> None:
    rival = make_rival(name, 3)
    rival.save_pretrained(tmp_path / "base")
    theirs = peft.get_peft_model(rival, virtual_config(method, name, rival, 3)).eval()
    disturb((p for p in theirs.parameters() if p.requires_grad), 3)
    theirs.save_pretrained(tmp_path / "adapter")
    model = read_model(tmp_path / "base")
    read_adapter(AdapterSet(model), tmp_path / "adapter")
    ids = make_batch(name, 3)["input_ids"]
    settings = GenerationSettings(max_new_tokens=8, temperature=0.0)
    if name.startswith("T5"):
        expected = _greedy(lambda row: theirs(input_ids=ids, decoder_input_ids=row).logits, torch.zeros(2, 1).long())
        found = [texts[0].tokens for texts in generate_seq2seq(model, ids, None, settings, eos_ids=())]
        assert found == expected
        return
    rows = [ids[0], ids[1, :4]]  # of different lengths, in one batch
    expected = [_greedy(lambda row: theirs(input_ids=row).logits, row[None])[0] for row in rows]
    decoding = decode(model, [row.tolist() for row in rows], settings)
    list(decoding)
    assert [one[len(row) :] for one, row in zip(decoding.rows, rows, strict=True)] == expected
    few = ids[:1, :4]
    beams = theirs.generate(input_ids=few, attention_mask=torch.ones_like(few), num_beams=3, max_new_tokens=6)
    searched = beam_search(model, few.tolist(), BeamSettings(num_beams=3, max_new_tokens=6))
    assert searched[0][0].tokens == beams[0, -6:].tolist()


def _greedy(logits: Callable[[Tensor], Tensor], rows: Tensor) -> list[list[int]]:
    """Eight tokens more, each from a whole new pass."""
    start = rows.shape[1]
    with torch.no_grad():
        for _ in range(8):
            rows = torch.cat((rows, logits(rows)[:, -1:].argmax(-1)), 1)
    return rows[:, start:].tolist()
