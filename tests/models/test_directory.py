"""Model directories: what is written, and what is refused, with which words."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import hanmo
from hanmo.core.errors import ConfigError, ModelError, StorageError
from hanmo.models.directory import read_config, read_eos_ids, read_model, write_model
from hanmo.models.families import FAMILIES, family_of
from hanmo.models.gpt2 import SIZES as GPT2_SIZES
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import SIZES as LLAMA_SIZES
from hanmo.models.llama import LlamaConfig, llama


def make_gpt2(path: Path, **more: Any) -> Path:
    write_model(path, gpt2(GPT2Config(vocab_size=31, max_len=16, d_model=12, n_layers=2, n_heads=3, eos_id=5, **more)))
    return path


def make_llama(path: Path, **more: Any) -> Path:
    write_model(
        path,
        llama(LlamaConfig(vocab_size=31, max_len=16, d_model=12, n_layers=2, n_heads=6, n_kv_heads=2, d_ff=20, **more)),
    )
    return path


def edit_config(path: Path, **changes: Any) -> None:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_tensors(path: Path, **changes: torch.Tensor | None) -> None:
    file = path / "model.safetensors"
    tensors = {**load_file(file), **{key.replace("__", "."): value for key, value in changes.items()}}
    save_file({key: value for key, value in tensors.items() if value is not None}, file, metadata={"format": "pt"})


def test_what_is_written(tmp_path: Path) -> None:
    make_gpt2(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert config["model_type"] == "gpt2"
    assert config["dtype"] == "float32"
    assert config["n_inner"] == 48
    assert config["activation_function"] == "gelu_new"
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert generation["eos_token_id"] == 5
    assert read_eos_ids(tmp_path) == (5,)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        names = set(file.keys())
        assert "transformer.h.1.attn.c_attn.weight" in names
        assert "lm_head.weight" not in names
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("make", [make_gpt2, make_llama])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_write_and_read_back(make, dtype: torch.dtype, tmp_path: Path) -> None:
    make(tmp_path / "first")
    model = read_model(tmp_path / "first")
    assert not model.training
    write_model(tmp_path / "second", model, dtype=dtype)
    stored = read_model(tmp_path / "second", dtype=None)
    assert all(parameter.dtype == dtype for parameter in stored.parameters())
    assert stored.config == model.config
    for name, parameter in read_model(tmp_path / "second").named_parameters():
        assert parameter.dtype == torch.float32
        assert parameter.requires_grad
        assert torch.equal(parameter, model.get_parameter(name).to(dtype).float())


def test_several_ends_and_a_missing_generation_config(tmp_path: Path) -> None:
    make_llama(tmp_path, eos_id=(3, 4))
    assert read_eos_ids(tmp_path) == (3, 4)
    (tmp_path / "generation_config.json").unlink()
    assert read_eos_ids(tmp_path) == (3, 4)
    config = read_config(tmp_path)
    assert isinstance(config, LlamaConfig)
    assert config.eos_id == (3, 4)
    edit_config(tmp_path, eos_token_id="</s>")
    with pytest.raises(ModelError, match="is no token id"):
        read_eos_ids(tmp_path)


def test_shards_with_an_index(tmp_path: Path) -> None:
    whole, sharded = make_llama(tmp_path / "whole"), make_llama(tmp_path / "sharded")
    tensors = load_file(whole / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, sharded / file)
        weight_map |= dict.fromkeys(part, file)
    (sharded / "model.safetensors").unlink()
    index = sharded / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    for one, two in zip(read_model(whole).parameters(), read_model(sharded).parameters(), strict=True):
        assert torch.equal(one, two)
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing"):
        read_model(sharded)
    for trick in ("../whole/model.safetensors", "/etc/passwd", "..", "weights.bin"):
        index.write_text(json.dumps({"weight_map": {"a": trick}}))
        with pytest.raises(ModelError, match="not a safetensors file beside it"):
            read_model(sharded)
    for broken in ("[]", "{}", '{"weight_map": 3}', "{"):
        index.write_text(broken)
        with pytest.raises(ModelError, match="not an index"):
            read_model(sharded)
    index.write_text('{"weight_map": {}}')
    with pytest.raises(ModelError, match="this index names no file"):
        read_model(sharded)


def test_historic_files_of_gpt2(tmp_path: Path) -> None:
    make_gpt2(tmp_path)
    before = read_model(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    for i in range(2):
        old[f"h.{i}.attn.bias"] = torch.ones(1, 1, 16, 16, dtype=torch.uint8).tril()
        old[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    old["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
    save_file(old, tmp_path / "model.safetensors")
    for one, two in zip(before.parameters(), read_model(tmp_path).parameters(), strict=True):
        assert torch.equal(one, two)
    old["lm_head.weight"] += 1  # tied by its settings, untied by its weights
    save_file(old, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"lm_head.weight \(31, 12\) differs from transformer.wte.weight"):
        read_model(tmp_path)


def test_missing_extra_and_misshaped_tensors_are_listed(tmp_path: Path) -> None:
    make_llama(tmp_path)
    edit_tensors(
        tmp_path,
        model__norm__weight=None,
        model__layers__0__mlp__down_proj__weight=torch.zeros(12, 21),
        model__surprise=torch.zeros(2),
        lm_head__weight=torch.zeros(31, 12, dtype=torch.int8),
    )
    with pytest.raises(ModelError) as caught:
        read_model(tmp_path)
    text = str(caught.value)
    assert "model.norm.weight (12,) is missing" in text
    assert "model.layers.0.mlp.down_proj.weight is (12, 21), expected (12, 20)" in text
    assert "model.surprise (2,) is not part of this model" in text
    assert "lm_head.weight holds I8" in text
    assert str(tmp_path) in text


def test_only_the_first_ten_problems_are_listed(tmp_path: Path) -> None:
    make_gpt2(tmp_path)
    edit_config(tmp_path, n_layer=4)
    with pytest.raises(ModelError, match="and 14 more") as caught:
        read_model(tmp_path)
    assert str(caught.value).count("is missing") == 10


@pytest.mark.parametrize(
    ("make", "change", "match"),
    [
        (make_gpt2, {"model_type": "gpt5"}, "model_type 'gpt5' is not supported.*gpt2, .*llama"),
        (make_gpt2, {"model_type": ["gpt2"]}, "is not supported"),
        (make_gpt2, {"add_cross_attention": True}, "add_cross_attention = True"),
        (make_gpt2, {"pruned_heads": {"0": [1]}}, "pruned_heads"),
        (make_gpt2, {"activation_function": "mish"}, "activation 'mish'"),
        (make_gpt2, {"n_head": 5}, "d_model 12 is not a multiple of n_heads 5"),
        (make_gpt2, {"n_layer": 10**9}, "n_layers"),
        (make_gpt2, {"n_embd": "wide"}, "d_model"),
        (make_gpt2, {"layer_norm_epsilon": -1}, "norm_eps"),
        (make_gpt2, {"layer_norm_epsilon": float("nan")}, "NaN"),
        (make_gpt2, {"quantization_config": {"bits": 4}}, "quantization_config"),
        (make_gpt2, {"auto_map": {"AutoModel": "evil.Model"}}, "auto_map"),
        (make_gpt2, {"rotary": True}, r"rotary = True \(unknown\)"),
        (make_llama, {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0}}, "llama3"),
        (make_llama, {"rope_parameters": None, "rope_scaling": {"type": "su", "factor": 2.0}}, "su"),
        (make_llama, {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "extra": 1}}, "extra"),
        (make_llama, {"rope_parameters": {"rope_type": "linear", "factor": 0.0}}, "rope_scaling.factor"),
        (make_llama, {"rope_parameters": "yarn"}, "yarn"),
        (make_llama, {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        (make_llama, {"sliding_window": 4096}, "sliding_window = 4096"),
        (make_gpt2, {"id2label": {"0": "no", "2": "yes"}}, r"id2label has the ids 0, 2 .* \(expected 0 to 1\)"),
        (make_gpt2, {"id2label": {"a": "no"}}, "id2label has the ids a"),
        (make_gpt2, {"num_labels": -1}, r"num_labels = -1 \(expected 1 to 1,000,000\)"),
        (make_gpt2, {"num_labels": 10**12}, "num_labels = 1000000000000"),
        (make_gpt2, {"num_labels": "two"}, "num_labels = 'two'"),
        (make_llama, {"num_key_value_heads": 4}, "not a multiple of n_kv_heads 4"),
        (make_llama, {"head_dim": None, "hidden_size": 1}, "d_model 1 is less than n_heads"),
        (make_llama, {"head_dim": 3}, "odd"),
    ],
)
def test_settings_that_change_the_result_are_named(make, change: dict[str, Any], match: str, tmp_path: Path) -> None:
    make(tmp_path)
    edit_config(tmp_path, **change)
    with pytest.raises(ModelError, match=match) as caught:
        read_config(tmp_path)
    assert "config.json" in str(caught.value)


def test_settings_that_change_nothing_are_fine(tmp_path: Path) -> None:
    before = read_config(make_llama(tmp_path))
    edit_config(
        tmp_path,
        transformers_version="4.31.0",
        _name_or_path="org/name",
        use_cache=False,
        pretraining_tp=1,
        torch_dtype="bfloat16",
        temperature=0.6,
        sliding_window=None,
        rope_scaling=None,
        is_encoder_decoder=False,
        unknown_but_off=False,
    )
    assert read_config(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        {"rope_parameters": None, "rope_theta": 777.0},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 777.0}, "rope_theta": None},
        {"rope_parameters": {"rope_type": "default"}, "rope_theta": 777.0},
        {"rope_parameters": None, "rope_theta": 777.0, "rope_scaling": {"type": "default"}},
    ],
)
def test_the_rotary_base_is_found_wherever_it_is(change: dict[str, Any], tmp_path: Path) -> None:
    edit_config(make_llama(tmp_path), **change)
    config = read_config(tmp_path)
    assert isinstance(config, LlamaConfig)
    assert config.rope_base == 777.0


def hostile_headers() -> dict[str, bytes]:
    def file(header: bytes, data: bytes = b"") -> bytes:
        return struct.pack("<Q", len(header)) + header + data

    huge = {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}
    outside = {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 10**9]}}
    return {
        "empty": b"",
        "three bytes": b"abc",
        "length 2^63": struct.pack("<Q", 2**63) + b"{}",
        "not json": file(b"not json"),
        "not utf-8": file(b"\xff\xfe{}"),
        "huge": file(json.dumps(huge).encode(), b"1234"),
        "outside": file(json.dumps(outside).encode(), b"1234"),
        "pickle": b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.",
    }


@pytest.mark.parametrize("attack", list(hostile_headers()))
def test_hostile_weights_are_refused(attack: str, tmp_path: Path) -> None:
    make_gpt2(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(hostile_headers()[attack])
    with pytest.raises(ModelError, match=r"model\.safetensors: not a whole safetensors file"):
        read_model(tmp_path)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_cut_file_never_loads(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = make_gpt2(tmp_path_factory.mktemp("cut"))
    file = path / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_model(path)
    file.write_bytes(whole)
    read_model(path)


@settings(deadline=None, max_examples=40)
@given(
    values=st.dictionaries(
        st.sampled_from(
            [
                "n_embd",
                "n_head",
                "n_layer",
                "vocab_size",
                "n_positions",
                "eos_token_id",
                "tie_word_embeddings",
                "model_type",
                "x",
            ]
        ),
        st.none() | st.booleans() | st.integers(-5, 40) | st.text(max_size=4) | st.lists(st.integers(0, 5), max_size=2),
    )
)
def test_any_config_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("config")
    (path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_embd": 12, "n_head": 3} | values))
    with contextlib.suppress(ModelError):  # and nothing else
        read_config(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model directory"):
        read_model(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"config\.json: this file is missing"):
        read_model(tmp_path)
    make_gpt2(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        read_model(tmp_path)
    for content in ("", "[1]", "{", "\xff"):
        (tmp_path / "config.json").write_text(content, encoding="latin-1")
        with pytest.raises(ModelError, match=r"config\.json"):
            read_model(tmp_path)


class Bomb:
    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickles_are_never_opened(name: str, tmp_path: Path) -> None:
    import pickle

    path, canary = make_gpt2(tmp_path / "model"), tmp_path / "canary"
    (path / name).write_bytes(pickle.dumps(Bomb(canary)))
    read_model(path)  # beside safetensors it is just a file
    (path / "model.safetensors").rename(path / "away")
    with pytest.raises(ModelError, match=rf"pickle \({name}\).*save_pretrained"):
        read_model(path)
    (path / "vocab.txt").write_text("[UNK]\n")
    with pytest.raises(ModelError, match=rf"pickle \({name}\).*save_pretrained"):
        hanmo.load(path)
    assert not canary.exists()
    pickle.loads((path / name).read_bytes())  # noqa: S301 (the control: opening it does act)
    assert canary.exists()


def test_a_full_disk_leaves_the_old_model(tmp_path: Path) -> None:
    model = read_model(make_gpt2(tmp_path))
    before = (tmp_path / "model.safetensors").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"model\.safetensors: the file is larger than this system allows"):
            write_model(tmp_path, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert not list(tmp_path.glob(".hanmo-tmp-*"))
    assert torch.equal(read_model(tmp_path).head_weight, model.head_weight)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_to_write(tmp_path: Path) -> None:
    model = read_model(make_gpt2(tmp_path / "model"))
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="no permission"):
        write_model(tmp_path / "locked", model)


def test_named_sizes_fit_their_settings() -> None:
    counts = {}
    for name, size in GPT2_SIZES.items():
        with torch.device("meta"):
            counts[name] = sum(p.numel() for p in gpt2(GPT2Config.model_validate(size)).parameters())
    for name, size in LLAMA_SIZES.items():
        with torch.device("meta"):
            counts[name] = sum(p.numel() for p in llama(LlamaConfig.model_validate(size)).parameters())
    assert counts["gpt2"] == 124_439_808  # published parameter counts
    assert counts["gpt2-xl"] == 1_557_611_200
    assert counts["llama-2-7b"] == 6_738_415_616
    assert counts["llama-3-8b"] == 8_030_261_248


_TEXT = {"d_model": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 9, "eos_id": 2, "d_shared": 5}
_VISION = {"d_model": 12, "n_heads": 3, "n_layers": 2, "image_size": 8, "patch_size": 4, "d_shared": 5}
TINY: dict[str, dict[str, Any]] = {
    "clip": {"text": _TEXT, "vision": _VISION, "d_shared": 5},
    "clip_text_model": _TEXT,
    "clip_vision_model": _VISION,
    "hanmo-bilstm": {"d_embedding": 6, "d_hidden": 5, "n_layers": 2, "vocab_size": 7},
    "hanmo-cnn": {"d_embedding": 6, "d_filters": 5, "widths": (2, 3), "vocab_size": 7},
    "hanmo-lstm": {"d_model": 6, "d_hidden": 5, "n_layers": 2, "vocab_size": 7},
    "hanmo-lstm-seq2seq": {"d_model": 6, "n_layers": 2, "vocab_size": 7},
}
"""Settings of families that are not described by the usual few."""
USUAL = {"d_model": 12, "n_heads": 3, "n_layers": 2, "vocab_size": 7}
ARCHITECTURES = [(family, name) for family in FAMILIES for name in FAMILIES[family].architectures]


@pytest.mark.parametrize(("model_type", "name"), ARCHITECTURES, ids=[name for _, name in ARCHITECTURES])
def test_every_parameter_has_its_name_in_the_file(model_type: str, name: str) -> None:
    family = FAMILIES[model_type]
    fields = family.config.model_fields
    ties: list[dict[str, Any]] = [{"tie_embeddings": True}, {"tie_embeddings": False}]
    if "share_embeddings" in fields:
        ties[1]["share_embeddings"] = False
    for tie in ties if "tie_embeddings" in fields else [{}]:
        config = family.config.model_validate(TINY.get(model_type, USUAL) | tie)
        assert family_of(config) is family
        with torch.device("meta"):
            model: Any = family.architecture(name).build(config)
        assert model.architecture == name
        rules = family.architecture(name).rules(config)
        assert sorted(rule.ours for rule in rules) == sorted(name for name, _ in model.named_parameters())
        theirs = [name for rule in rules for name in rule.theirs]
        assert len(set(theirs)) == len(theirs)
        full = [family.canonical(name) for name in theirs]
        assert all(name is not None and family.canonical(name) == name for name in full)


def test_unknown_settings_have_no_family() -> None:
    with pytest.raises(ConfigError, match="no known family"):
        family_of(object())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_reading_peaks_at_the_size_of_the_model(tmp_path: Path) -> None:
    config = LlamaConfig(vocab_size=8000, d_model=1024, n_layers=10, n_heads=8, n_kv_heads=4, max_len=64)
    write_model(tmp_path, llama(config))
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size > 400e6
    child = (
        "import sys, torch\n"
        "from pathlib import Path\n"
        "from hanmo.models.directory import read_model\n"
        "def peak():\n"
        "    return 1024 * int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
        "before = peak()\nmodel = read_model(sys.argv[1])\nprint(peak() - before)\n"
        "assert 'sympy' not in sys.modules, 'building the plan of a model has become expensive'\n"
    )
    done = subprocess.run([sys.executable, "-c", child, str(tmp_path)], capture_output=True, text=True, check=True)
    assert size < int(done.stdout) < 1.2 * size
