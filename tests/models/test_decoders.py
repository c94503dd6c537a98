"""Llama's kin and GPT-3: settings in files, sparse attention in every family, and learning."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.settings import check_settings
from hanmo.models.directory import read_config, read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.gpt2 import GPT2Config
from hanmo.models.gpt3 import SIZES as GPT3_SIZES
from hanmo.models.gpt3 import GPT3Config
from hanmo.nn.sparse import Dense, SlidingWindow, SparsePattern

SMALL: dict[str, Any] = {"vocab_size": 53, "max_len": 160, "d_model": 12, "n_layers": 3, "n_heads": 2, "d_ff": 20}
WINDOW = {"kind": "sliding_window", "window": 5}
DENSE = {"kind": "dense"}
PATTERNS: dict[str, tuple[dict[str, Any], ...]] = {
    "none": (),
    "window": (WINDOW,),
    "turns": (DENSE, WINDOW),
    "global": ({"kind": "local_global", "window": 4, "n_global": 2},),
    "blocks": (DENSE, {"kind": "block_sparse", "block_size": 4, "offsets": (0, 2)}, WINDOW),
    "two widths": (WINDOW, WINDOW | {"window": 9}),
}
DECODERS = ["gpt2", "hanmo-gpt3", "llama", "mistral", "qwen2", "qwen3"]


def build(name: str, **more: Any) -> Any:
    torch.manual_seed(0)
    family = FAMILIES[name]
    return family.architecture().build(family.config.model_validate(SMALL | {"init_std": 0.3} | more)).eval()


def text_ids(length: int = 150, rows: int = 2) -> Tensor:
    return torch.randint(53, (rows, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("patterns", list(PATTERNS))
@pytest.mark.parametrize("name", [*DECODERS, "bert", "roberta"])
def test_patterns_survive_the_file(name: str, patterns: str, tmp_path: Path) -> None:
    model = build(name, attention=PATTERNS[patterns])
    write_model(tmp_path, model)
    again = read_model(tmp_path)
    ids = text_ids()
    assert torch.equal(again(ids)[0], model(ids)[0])
    layers = [layer.attention.inner.pattern for layer in again.stack.layers] if hasattr(again, "stack") else []
    assert [layer.attention.inner.pattern for layer in model.stack.layers] == layers
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    windows_alone = {"mistral": ("none", "window"), "qwen2": ("none", "window", "turns")}
    windows_alone["qwen3"] = windows_alone["qwen2"]
    assert ("hanmo_attention" in values) == (patterns not in windows_alone.get(name, ("none",)))
    if name != "hanmo-gpt3" or patterns != "none":
        assert again.config == model.config


@pytest.mark.parametrize("name", [*DECODERS, "bert"])
def test_long_texts_take_blocks_with_the_result_of_the_mask(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids, mask = build(name, attention=PATTERNS["blocks"]), text_ids(), torch.ones(2, 150, dtype=torch.int64)
    mask[0, :17] = 0
    results = []
    for patch in (lambda *_: False, SparsePattern.worth_blocks):
        monkeypatch.setattr(SparsePattern, "worth_blocks", patch)
        plain, padded = model(ids), model(ids, attention_mask=mask)
        loss = plain[0].square().mean() + padded[0][mask.bool()].square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        results.append((plain[0], padded[0][mask.bool()], gradients))
    for dense, blocks in zip(*(result[:2] for result in results), strict=True):
        torch.testing.assert_close(blocks, dense, atol=1e-5, rtol=1e-5)
    largest = max(float(grad.abs().max()) for grad in results[0][2] if grad is not None)
    for dense, blocks in zip(results[0][2], results[1][2], strict=True):
        if dense is not None:
            assert float((blocks - dense).abs().max()) <= 1e-5 * largest


def test_packed_texts_do_not_see_each_other_through_patterns() -> None:
    for patterns in ("global", "blocks"):
        model = build("llama", attention=PATTERNS[patterns])
        one, two = text_ids(31, 1), text_ids(46, 1) + 0
        together = model(
            torch.cat((one, two), 1), position_ids=torch.cat((torch.arange(31), torch.arange(46)))[None]
        ).logits
        torch.testing.assert_close(together[:, :31], model(one).logits, atol=1e-5, rtol=0)
        torch.testing.assert_close(together[:, 31:], model(two).logits, atol=1e-5, rtol=0)


def test_gpt3_is_gpt2_where_it_is_dense(tmp_path: Path) -> None:
    dense = build("hanmo-gpt3", attention=(DENSE,))
    assert type(dense.config) is GPT2Config
    write_model(tmp_path / "dense", dense)
    rival = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "dense")
    assert type(rival).__name__ == "GPT2LMHeadModel"
    ids = text_ids(40)
    assert (rival(ids).logits - dense(ids).logits).abs().max() <= 1e-5

    sparse = build("hanmo-gpt3")
    assert [layer.attention.inner.pattern for layer in sparse.stack.layers] == [None, SlidingWindow(window=256), None]
    write_model(tmp_path / "sparse", sparse)
    with pytest.raises(ValueError, match="hanmo-gpt3"):  # no other library computes something else in silence
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "sparse")


@pytest.mark.parametrize(
    ("name", "millions"),
    [("gpt3-small", 125), ("gpt3-medium", 356), ("gpt3-large", 760), ("gpt3-2.7b", 2650), ("gpt3-175b", 174600)],
)
def test_named_sizes_have_their_number_of_parameters(name: str, millions: int) -> None:
    with torch.device("meta"):
        model = FAMILIES["hanmo-gpt3"].architecture().build(check_settings(GPT3Config, GPT3_SIZES[name]))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("name", "size", "millions"),
    [("qwen2", "qwen2.5-0.5b", 494), ("qwen2", "qwen2.5-7b", 7616), ("qwen3", "qwen3-0.6b", 596),
     ("qwen3", "qwen3-8b", 8191), ("mistral", "mistral-7b", 7242), ("llama", "llama-3.2-1b", 1236)],
)  # fmt: skip
def test_sizes_of_llamas_kin(name: str, size: str, millions: int) -> None:
    module = importlib.import_module(f"hanmo.models.{name}")
    family = FAMILIES[name]
    with torch.device("meta"):
        model = family.architecture().build(check_settings(family.config, module.SIZES[size]))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=1)


def edited(folder: Path, name: str, **changes: Any) -> Path:
    write_model(folder, build(name))
    values = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
    values = {key: value for key, value in values.items() if value != "gone"}
    (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "patterns"),
    [
        ({"use_sliding_window": False, "sliding_window": 7, "max_window_layers": 0, "layer_types": None}, ()),
        ({"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 3, "layer_types": None}, ()),
        ({"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0, "layer_types": None}, ()),
        (
            {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 2, "layer_types": None},
            (Dense(), Dense(), SlidingWindow(window=7)),
        ),
        (
            {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 0, "layer_types": "gone"},
            (SlidingWindow(window=7),),
        ),
    ],
)
@pytest.mark.parametrize("name", ["qwen2", "qwen3"])
def test_windows_by_layer_in_every_form(
    name: str, changes: dict[str, Any], patterns: tuple[Any, ...], tmp_path: Path
) -> None:
    config: Any = read_config(edited(tmp_path, name, **changes))
    assert config.attention == patterns


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("qwen2", {"layer_types": ["sliding_attention"] * 3}, "layer_types"),
        ("qwen2", {"layer_types": ["chunked_attention"] * 3, "use_sliding_window": True}, "layer_types"),
        ("qwen2", {"layer_types": ["full_attention"] * 2}, "layer_types"),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 0, "max_window_layers": 0, "layer_types": None},
         "attention.*window"),
        ("qwen2", {"use_mrope": True}, "use_mrope"),
        ("qwen3", {"num_experts": 8}, "num_experts"),
        ("mistral", {"layer_types": ["full_attention"] * 3}, "layer_types"),
        ("mistral", {"attention_bias": True}, "attention_bias"),
        ("llama", {"sliding_window": 7}, "sliding_window"),
        ("llama", {"hanmo_attention": [{"kind": "spiral"}]}, "spiral"),
        ("llama", {"hanmo_attention": [WINDOW] * 4}, "4 patterns for 3 layers"),
        ("llama", {"rope_scaling": {"rope_type": "dynamic"}}, "dynamic"),
        ("llama", {"rope_scaling": {"rope_type": "longrope", "factor": 2.0, "short_factor": [1.0]}}, "longrope"),
        ("llama", {"rope_scaling": {"rope_type": "mrope", "mrope_section": [1, 1, 1]}}, "mrope"),
        ("qwen3", {"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "full_attention"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_faithfully_is_named(name: str, changes: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=match):
        read_config(edited(tmp_path, name, **changes))


@pytest.mark.parametrize("name", ["llama", "mistral", "qwen2", "qwen3"])
def test_no_number_of_key_heads_means_that_of_query_heads(name: str, tmp_path: Path) -> None:
    config: Any = read_config(edited(tmp_path, name, num_key_value_heads=None))
    assert config.n_kv_heads == 2


@pytest.mark.parametrize("rope", ["rope_parameters", "rope_scaling"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "linear", "factor": 2}, {"kind": "linear", "factor": 2.0}),
        ({"rope_type": "dynamic", "factor": 2.5}, {"kind": "dynamic", "factor": 2.5, "original_len": 160}),
        ({"type": "yarn", "rope_type": "yarn", "factor": 4.0}, {"kind": "yarn", "factor": 4.0, "original_len": 160}),
        (
            {"rope_type": "yarn", "factor": None, "original_max_position_embeddings": 40, "beta_fast": None},
            {"kind": "yarn", "factor": 4.0, "original_len": 40, "beta_fast": 32.0},
        ),
        (
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
            {"kind": "llama3", "original_len": 160, "high_freq_factor": 4.0},
        ),
        (
            {
                "rope_type": "longrope", "short_factor": [1.0] * 3, "long_factor": [2.0] * 3,
                "original_max_position_embeddings": 32,
            },
            {"kind": "longrope", "factor": 5.0, "long_factor": (2.0,) * 3},
        ),
    ],
)  # fmt: skip
def test_scaling_is_found_in_old_and_new_files(
    rope: str, given: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    both = {"rope_parameters": None, "rope_scaling": None, "rope_theta": 777.0} | {rope: given}
    config: Any = read_config(edited(tmp_path, "llama", **both))
    assert config.rope_base == 777.0
    found = config.rope_scaling.model_dump()
    assert {key: found[key] for key in expected} == expected
    torch.manual_seed(0)
    write_model(tmp_path / "again", FAMILIES["llama"].architecture().build(config))
    assert read_config(tmp_path / "again") == config
    values = json.loads((tmp_path / "again" / "config.json").read_text(encoding="utf-8"))
    assert values["rope_parameters"] == values["rope_scaling"] | {"rope_theta": 777.0}


def test_a_dynamic_base_grows_from_the_longest_text() -> None:
    scaling = {"kind": "dynamic", "factor": 2.0, "original_len": 80}
    with pytest.raises(ConfigError, match="original_len 80 is not max_len 160"):
        check_settings(FAMILIES["llama"].config, SMALL | {"rope_scaling": scaling})


LEARNERS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "hanmo-gpt3": {"attention": (DENSE, WINDOW)},
    "llama": {"rope_scaling": {"kind": "llama3", "factor": 8.0, "original_len": 32, "low_freq_factor": 1.0,
                               "high_freq_factor": 4.0}},
    "mistral": {"attention": (WINDOW,), "n_kv_heads": 1},
    "qwen2": {"attention": ({"kind": "local_global", "window": 8},)},
    "qwen3": {"d_head": 8, "attention": ({"kind": "block_sparse", "block_size": 8},)},
}  # fmt: skip


def losses_on(model: Any, batches: Iterator[Tensor], n_steps: int, lr: float) -> list[float]:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    for _ in range(n_steps):
        ids = next(batches)
        loss = model(ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_fixed_batch_is_learnt(name: str) -> None:
    text = "床前明月光，疑是地上霜。举头望明月，低头思故乡。".encode()
    ids = torch.tensor(list(text))[None]
    model = build(name, vocab_size=256, init_std=0.02, **LEARNERS[name])
    losses = losses_on(model, iter([ids] * 15), 15, 1e-2)
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["tinyshakespeare/input.txt.gz", "chinese_novels/红楼梦.txt.gz"])
@pytest.mark.parametrize("name", list(LEARNERS))
def test_real_text_is_learnt(name: str, file: str, data_root: Path) -> None:
    with gzip.open(data_root / file) as stream:
        text = torch.frombuffer(bytearray(stream.read(400_000)), dtype=torch.uint8).long()
    rng = torch.Generator().manual_seed(0)

    def batches() -> Iterator[Tensor]:
        while True:
            starts = torch.randint(len(text) - 96, (8,), generator=rng)
            yield torch.stack([text[start : start + 96] for start in starts])

    torch.manual_seed(0)
    shape = SMALL | {"vocab_size": 256, "d_model": 48, "n_layers": 2, "n_heads": 4, "d_ff": 128}
    family = FAMILIES[name]
    model = family.architecture().build(family.config.model_validate(shape | LEARNERS[name]))
    losses = losses_on(model, batches(), 200, 3e-3)
    assert sum(losses[-20:]) / 20 < sum(losses[:5]) / 5 - 1.5
