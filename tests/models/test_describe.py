"""What `hanmo show` counts, against the parameters that there are and the products that torch counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models import albert, bert, gpt2, llama
from hanmo.models.describe import Description, Part, describe
from hanmo.models.directory import write_model
from hanmo.models.families import FAMILIES

N_TOKENS = 7
USUAL: dict[str, Any] = {"d_model": 12, "n_heads": 3, "n_layers": 3, "vocab_size": 31}
TOWER: dict[str, Any] = {"d_model": 12, "n_heads": 3, "n_layers": 2, "d_ff": 20}
IMAGE = TOWER | {"image_size": 8, "patch_size": 4}
N_PATCHES = 5
"""With the one that stands for the whole image."""
TINY: dict[str, dict[str, Any]] = {
    "clip": {"text": TOWER | {"vocab_size": 31, "max_len": N_TOKENS, "eos_id": 30}, "vision": IMAGE, "d_shared": 10},
    "clip_text_model": TOWER | {"vocab_size": 31, "max_len": N_TOKENS, "eos_id": 30},
    "clip_vision_model": IMAGE,
    "marian": {"d_model": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 31},
    "bilstm": {"vocab_size": 31, "d_embedding": 10, "d_hidden": 6, "labels": ("O", "B-X", "I-X")},
}
"""Settings of families that are not described by the usual few."""
NOT_EXACT = {"hanmo-gpt3", "xlnet", "hanmo-bilstm", "hanmo-lstm", "hanmo-lstm-seq2seq"}
"""Torch counts here what is masked anyway, distances that nothing needs, or not the fused recurrence."""
ARCHITECTURES = [(family, name) for family in FAMILIES for name in FAMILIES[family].architectures]


def build(model_type: str, name: str | None, **more: Any) -> Any:
    family = FAMILIES[model_type]
    known = TINY.get(model_type) or next((v for k, v in TINY.items() if model_type.endswith(k)), USUAL)
    fields = family.config.model_fields
    settings = {key: value for key, value in {**known, **more}.items() if key in fields}
    return family.architecture(name).build(family.config.model_validate(settings)).eval()


def tiny_inputs(model: nn.Module, name: str) -> dict[str, Any]:
    ids = torch.arange(N_TOKENS)[None] + 3
    ids[0, -1] = 30
    pixels = torch.zeros(1, 3, 8, 8)
    if "Vision" in name:
        return {"pixel_values": pixels}
    if name == "CLIPModel":
        return {"input_ids": ids, "pixel_values": pixels}
    is_pair = "decoder_input_ids" in model.forward.__code__.co_varnames
    return {"input_ids": ids} | ({"decoder_input_ids": ids} if is_pair else {})


def parts_of(part: Part) -> list[Part]:
    return [part, *(inner for child in part.parts for inner in parts_of(child))]


@pytest.mark.parametrize(("model_type", "name"), ARCHITECTURES, ids=[name for _, name in ARCHITECTURES])
def test_every_family(model_type: str, name: str) -> None:
    """Parameters are counted once each, and FLOPs are what torch counts; the plan says the same as the model."""
    model = build(model_type, name)
    found = describe(model, n_positions=N_TOKENS)
    assert found.architecture == name
    assert found.whole.n_parameters == sum(parameter.numel() for parameter in model.parameters())
    for part in parts_of(found.whole):
        own = sum(torch.Size(shape).numel() for shape in part.shapes.values()) * (part.same_as is None)
        assert part.n_parameters == part.count * (own + sum(child.n_parameters for child in part.parts))
        below = sum(child.flops_per_token for child in part.parts)
        assert part.flops_per_token >= part.count * below or part.kind == "AdditiveAttention"
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(**tiny_inputs(model, name))
    whole = found.whole
    if model_type not in NOT_EXACT:
        lengths = {"text": N_TOKENS, "image": N_PATCHES}
        towers = [part for part in whole.parts if part.name in lengths] if name == "CLIPModel" else []
        length = N_PATCHES if "Vision" in name else N_TOKENS
        expected = sum(part.flops_per_token * lengths[part.name] for part in towers)
        expected = (expected or whole.flops_per_token * length) + whole.flops_per_row
        if "image_size" in str(model.config):  # what stands for the whole image is no patch that is projected
            expected -= next(part for part in parts_of(whole) if part.kind == "PatchEmbedding").flops_per_token
        if name == "CLIPModel":  # and text and image are compared
            expected += 2 * 10
        assert counter.get_total_flops() == expected
    with torch.device("meta"):
        assert describe(build(model_type, name), n_positions=N_TOKENS) == found
    assert name in found.describe()
    assert json.loads(json.dumps(found.to_dict()))["n_parameters"] == found.whole.n_parameters


def named(description: Description, name: str) -> Part:
    return next(part for part in parts_of(description.whole) if part.name == name)


def test_published_counts() -> None:
    with torch.device("meta"):
        base = describe(bert.bert_encoder(bert.BertConfig(**bert.SIZES["bert-base"])))
        seven = describe(llama.llama(llama.LlamaConfig(**llama.SIZES["llama-2-7b"])), n_positions=1)
        small = describe(gpt2.gpt2(gpt2.GPT2Config(**gpt2.SIZES["gpt2"])))
        shared = describe(albert.albert_encoder(albert.AlbertConfig(**albert.SIZES["albert-base"])))
    assert base.whole.n_parameters == 109_482_240
    assert seven.whole.n_parameters == 6_738_415_616
    # 2 N, N without the token vectors that are looked up, and the attention over one position
    looked_up = 32000 * 4096 + 65 * 4096
    assert seven.whole.flops_per_token == 2 * (6_738_415_616 - looked_up) + 4 * 32 * 4096
    assert small.whole.n_parameters == 124_439_808
    assert shared.whole.n_parameters == 11_683_584  # as that of transformers
    assert named(base, "layers.0-11").count == 12
    assert named(shared, "layers.0").runs == 12
    assert named(small, "head").same_as == "embedding.token"


def test_what_is_shared_is_said() -> None:
    tied, own = (describe(build("t5", None, tie_embeddings=tied)) for tied in (True, False))
    assert named(tied, "head").same_as == "encoder.embedding.token"
    assert named(own, "head").same_as is None
    assert "= encoder.embedding.token" in tied.describe()
    assert own.whole.n_parameters - tied.whole.n_parameters == 31 * 12
    assert own.whole.flops_per_token == tied.whole.flops_per_token
    masked = describe(build("bert", "BertForMaskedLM"))
    assert named(masked, "tokens").parts[-1].same_as == "backbone.embedding.token"


def test_a_window_looks_at_few_positions() -> None:
    def attention(**more: Any) -> list[int]:
        model = build("llama", None, **more)
        return [
            part.flops_per_token for part in parts_of(describe(model, n_positions=50).whole) if part.name == "inner"
        ]

    window = {"kind": "sliding_window", "window": 4}
    taking_turns, dense = attention(attention=[{"kind": "dense"}, window]), attention()
    assert taking_turns[0] == dense[0]
    assert dense[0] - taking_turns[2] == 4 * (50 - 4) * 12
    encoder = build("bert", "BertModel", attention=[window])
    assert named(describe(encoder, n_positions=50), "inner").flops_per_token == 8 * 12**2 + 4 * 7 * 12


def test_a_layer_of_its_own_is_a_line_of_its_own() -> None:
    model = build("gpt2", None, n_layers=4)
    model.stack.layers[2].feedforward.inner.up = nn.Linear(12, 40)
    model.stack.layers[2].feedforward.inner.out = nn.Linear(40, 12)
    stack = named(describe(model), "stack")
    assert [part.name for part in stack.parts] == ["layers.0-1", "layers.2", "layers.3", "norm"]


def test_text_for_people() -> None:
    text = describe(build("bert", "BertForSequenceClassification")).describe()
    lines = text.splitlines()
    assert lines[0].startswith("BertForSequenceClassification: ")
    assert "per token that looks at 512 positions, and " in lines[1]
    assert any("layers.0-2" in line and "3 x" in line for line in lines)
    assert any("31×12" in line for line in lines)
    short = describe(build("bert", "BertForSequenceClassification")).describe(depth=1)
    assert [line[:4] for line in short.splitlines()[4:6]] == ["├─ b", "└─ h"]
    assert len(short.splitlines()) == 8


def test_from_config_json_alone(tmp_path: Path) -> None:
    model = build("llama", None)
    write_model(tmp_path / "run" / "model", model)
    (tmp_path / "run" / "model" / "model.safetensors").unlink()
    expected = describe(model)
    assert describe(tmp_path / "run" / "model") == expected
    assert describe(tmp_path / "run") == expected


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model directory"):
        describe(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"config\.json: this file is missing"):
        describe(tmp_path)
    with pytest.raises(ConfigError, match="n_positions = 0"):
        describe(build("gpt2", None), n_positions=0)
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertForFun"]}')
    with pytest.raises(ModelError, match="no class 'BertForFun'"):
        describe(tmp_path)
