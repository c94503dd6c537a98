"""CLIP and its towers against `transformers`, both directions, on random odd shapes; images against its processor."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hanmo.batches.images import ImageSettings, prepare_images, read_image_settings, write_image_settings
from hanmo.core.errors import ModelError
from hanmo.models.directory import read_config, read_model, write_model
from hanmo.models.families import family_of

MAX_LEN = 67
SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 10 else []) for seed in range(100)]
NAMES = [
    "CLIPModel", "CLIPTextModel", "CLIPTextModelWithProjection", "CLIPVisionModel", "CLIPVisionModelWithProjection",
]  # fmt: skip
ACTIVATIONS = ["quick_gelu", "quick_gelu", "gelu", "gelu_new", "relu", "silu", "gelu_pytorch_tanh"]


def random_config(rng: random.Random) -> transformers.CLIPConfig:
    def tower() -> dict[str, Any]:
        n_heads = rng.choice([1, 2, 3, 5, 7])
        return {
            # a norm over two or three numbers turns the last place of its input into the third of its output
            "hidden_size": n_heads * rng.choice([2, 3, 5] if n_heads > 2 else [5, 7, 9]),
            "num_attention_heads": n_heads,
            "num_hidden_layers": rng.randint(1, 3),
            "intermediate_size": rng.choice([13, 40]),
            "projection_dim": shared,
            "hidden_act": rng.choice(ACTIVATIONS),
            "layer_norm_eps": rng.choice([1e-5, 1e-3]),
        }

    shared = rng.choice([7, 12, 31])
    vocab_size = rng.choice([53, 97, 211])
    text = tower() | {
        "vocab_size": vocab_size,
        "max_position_embeddings": MAX_LEN,
        "bos_token_id": rng.choice([None, 0]),
        "eos_token_id": rng.choice([2, vocab_size - 1, 17]),
        "pad_token_id": rng.choice([None, 1]),
    }
    patch = rng.choice([2, 3, 5])
    vision = tower() | {
        "patch_size": patch,
        "image_size": patch * rng.choice([1, 2, 3]) + rng.randrange(patch),
        "num_channels": rng.choice([1, 3]),
    }
    # cosines themselves, or thrice: with the usual 14 times the last place of a logit is 1e-6 already
    scale = rng.choice([0.0, 1.0])
    return transformers.CLIPConfig(
        text_config=text, vision_config=vision, projection_dim=shared, logit_scale_init_value=scale
    )


def make_rival(name: str, seed: int) -> transformers.PreTrainedModel:
    config: Any = random_config(random.Random(seed))
    if "Text" in name:
        config = config.text_config
    elif "Vision" in name:
        config = config.vision_config
    torch.manual_seed(seed)
    rival = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in rival.parameters():  # biases and norms, too, must carry something to compare
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return rival


def make_batch(name: str, seed: int, config: Any) -> dict[str, Tensor]:
    """Even seeds pad on the left, odd ones on the right; the end of a text is never padding."""
    rng = torch.Generator().manual_seed(seed)
    batch = {}
    if "Vision" not in name:
        text = getattr(config, "text_config", config)
        length = 1 + int(torch.randint(MAX_LEN, (), generator=rng))
        ids = torch.randint(text.vocab_size - 1, (3, length), generator=rng)
        end = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
        ids = ids.masked_fill(ids == end, 5)
        mask = torch.ones_like(ids)
        for row in range(3):
            place = int(torch.randint(length, (), generator=rng))
            ids[row, place] = end
            if seed % 2 == 0:
                mask[row, : place // 2] = 0
            else:
                mask[row, place + 1 :] = 0
                ids[row, place + 1 :: 2] = end  # as in tokenizers whose padding is the end-of-text token
        batch |= {"input_ids": ids}
        if seed % 3:
            batch["attention_mask"] = mask
        if seed % 5 == 1:
            batch["position_ids"] = torch.randint(MAX_LEN, (3, length), generator=rng)
    if "Text" not in name:
        vision = getattr(config, "vision_config", config)
        height, width = vision.image_size, vision.image_size
        if seed % 4 == 2:
            height, width = 2 * height, height + vision.patch_size
            batch["interpolate_pos_encoding"] = True  # pyright: ignore[reportArgumentType]
        batch["pixel_values"] = torch.randn(3, vision.num_channels, height, width, generator=rng)
    return batch


def assert_same_outputs(ours: Any, theirs: Any, mask: Tensor | None) -> None:
    for key in theirs:
        mine, other = ours[key], theirs[key]
        if isinstance(other, Tensor) and not other.dim():
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
            continue
        if not isinstance(other, (Tensor, tuple)):
            assert_same_outputs(mine, other, mask if key == "text_model_output" else None)
            continue
        pairs = [(mine, other)] if isinstance(other, Tensor) else list(zip(mine, other, strict=True))
        for one, two in pairs:
            difference = (one - two).abs()
            if mask is not None and difference.dim() == 3:
                difference = difference[mask.bool()]  # padding sees nothing, and there gets anything
            assert difference.max() <= 1e-5, key
            assert difference.mean() <= 1e-6, key


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients(name: str, seed: int, tmp_path: Path) -> None:
    rival = make_rival(name, seed)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    assert ours.architecture == name
    batch: Any = make_batch(name, seed, rival.config)
    if name == "CLIPModel":
        batch["return_loss"] = True
    mine, other = (model(**batch, output_hidden_states=True) for model in (ours, rival))
    assert_same_outputs(mine, other, batch.get("attention_mask"))
    if name == "CLIPModel":
        text = {key: batch[key] for key in ("input_ids", "attention_mask", "position_ids") if key in batch}
        image = {key: batch[key] for key in ("pixel_values", "interpolate_pos_encoding") if key in batch}
        assert_same_outputs(
            ours.get_text_features(**text), rival.get_text_features(**text), batch.get("attention_mask")
        )
        assert_same_outputs(ours.get_image_features(**image), rival.get_image_features(**image), None)
    rng = torch.Generator().manual_seed(seed)
    for out in (mine, other):
        embeds = next(out[key] for key in ("loss", "text_embeds", "image_embeds", "pooler_output") if key in out)
        (embeds * torch.randn(embeds.shape, generator=rng.manual_seed(seed))).sum().backward()
    assert_same_gradients(ours, rival)


def assert_same_gradients(ours: nn.Module, rival: transformers.PreTrainedModel) -> None:
    theirs = {name: parameter.grad for name, parameter in rival.named_parameters() if parameter.grad is not None}
    seen = set()
    # a gradient that is zero in exact arithmetic (keys' biases) is noise on both sides: measure against the largest
    floor = 1e-3 * max(float(grad.abs().max()) for grad in theirs.values())
    for rule in family_of(ours.config).architecture(ours.architecture).rules(ours.config):
        grad = ours.get_parameter(rule.ours).grad
        for name, part in rule.scatter(grad) if grad is not None else ():
            scale = max(float(theirs[name].abs().max()), floor)
            assert float((part - theirs[name]).abs().max()) <= 1e-4 * scale + 2e-7, name
            seen.add(name)
    assert seen == set(theirs)


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
    batch: Any = make_batch(name, seed, rival.config)
    assert_same_outputs(back(**batch), rival(**batch), batch.get("attention_mask"))


@pytest.mark.parametrize("name", NAMES[1:])
def test_one_tower_of_both(name: str, tmp_path: Path) -> None:
    rival = make_rival("CLIPModel", 4)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path, architecture=name)
    theirs = getattr(transformers, name).from_pretrained(tmp_path)
    batch: Any = make_batch(name, 4, theirs.config)
    assert_same_outputs(ours(**batch), theirs(**batch), batch.get("attention_mask"))
    write_model(tmp_path / "alone", ours)
    again = getattr(transformers, name).from_pretrained(tmp_path / "alone")
    assert_same_outputs(ours(**batch), again(**batch), batch.get("attention_mask"))


def test_names_of_version_4(tmp_path: Path) -> None:
    """A tower alone had the prefix of its place in the whole, and counted positions."""
    for name, prefix in (("CLIPTextModel", "text_model."), ("CLIPVisionModel", "vision_model.")):
        rival = make_rival(name, 1)
        rival.save_pretrained(tmp_path)
        file = tmp_path / "model.safetensors"
        tensors = {f"{prefix}{key}": tensor for key, tensor in load_file(file).items()}
        save_file(tensors | {f"{prefix}embeddings.position_ids": torch.arange(5)[None]}, file, {"format": "pt"})
        batch: Any = make_batch(name, 1, rival.config)
        assert_same_outputs(read_model(tmp_path)(**batch), rival(**batch), batch.get("attention_mask"))


def test_settings_of_old_files(tmp_path: Path) -> None:
    """Both objects twice, where the second wins as a whole, and what version 4 wrote beside them."""
    noise = {
        "add_cross_attention": False, "bos_token_id": 0, "dropout": 0.0, "id2label": {"0": "LABEL_0"}, "is_decoder": False,
        "length_penalty": 1.0, "num_beams": 1, "pad_token_id": 1, "return_dict": True, "tie_word_embeddings": True,
        "torchscript": False, "transformers_version": "4.16.0", "use_bfloat16": False,
    }  # fmt: skip
    values = {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 24, "logit_scale_init_value": 2.6592,
        "initializer_factor": 1.0,
        "text_config": noise | {"hidden_size": 99, "eos_token_id": 2, "model_type": "clip_text_model"},
        "text_config_dict": {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2},
        "vision_config": noise | {"hidden_size": 48, "num_attention_heads": 6, "num_hidden_layers": 1, "patch_size": 8},
        "vision_config_dict": None,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(values))
    ours: Any = read_config(tmp_path)
    theirs = transformers.CLIPConfig.from_pretrained(tmp_path)
    for mine, other in ((ours.text, theirs.text_config), (ours.vision, theirs.vision_config)):
        assert (mine.d_model, mine.n_heads, mine.n_layers) == (
            other.hidden_size, other.num_attention_heads, other.num_hidden_layers,
        )  # fmt: skip
        assert (mine.d_ff, mine.d_shared, mine.activation) == (
            other.intermediate_size, other.projection_dim, other.hidden_act,
        )  # fmt: skip
    assert ours.text.eos_id == theirs.text_config.eos_token_id == 49407
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    ours, theirs = read_config(tmp_path), transformers.CLIPConfig()
    assert (ours.text.bos_id, ours.text.pad_id, ours.vision.d_ff) == (49406, 1, theirs.vision_config.intermediate_size)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"rotary": True}, "rotary = True"),
        ({"text_config": {"rotary": True}}, "text_config.*rotary = True"),
        ({"text_config": {"eos_token_id": None}}, "eos_id"),
        ({"text_config": {"hidden_size": 30, "num_attention_heads": 4}}, "not a multiple of n_heads 4"),
        ({"text_config": [1]}, "not an object"),
        ({"vision_config": {"patch_size": 300}}, "patch_size 300 is larger"),
        ({"vision_config": {"image_size": [224, 112]}}, "image_size"),
        ({"vision_config": {"hidden_act": "mish"}}, "activation 'mish'"),
        ({"architectures": ["CLIPForImageClassification"]}, "no class 'CLIPForImageClassification'"),
    ],
)
def test_settings_that_are_not_supported_are_named(changes: dict[str, Any], match: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"} | changes))
    with pytest.raises(ModelError, match=match):
        read_model(tmp_path)


def test_a_changed_weight_is_noticed(tmp_path: Path) -> None:
    rival = make_rival("CLIPModel", 0)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch: Any = make_batch("CLIPModel", 0, rival.config)
    with torch.no_grad():
        ours.temperature.log_scale += 0.01
    assert (ours(**batch).logits_per_text - rival(**batch).logits_per_text).abs().max() > 1e-4


def _images(seed: int) -> list[Any]:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra 'images')")
    rng = np.random.default_rng(seed)
    kinds = [("RGB", (37, 51, 3)), ("RGB", (60, 23, 3)), ("L", (40, 33)), ("RGBA", (29, 31, 4)), ("RGB", (10, 90, 3))]
    images = [pillow.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode=None) for _, shape in kinds]
    assert [image.mode for image in images] == [mode for mode, _ in kinds]
    palette = images[0].convert("P")
    palette.info["transparency"] = 3
    return [*images, palette]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"size": {"shortest_edge": 30}, "crop_size": {"height": 41, "width": 29}},
        {"size": {"height": 31, "width": 17}, "do_center_crop": False, "resample": 2},
        {"do_resize": False, "do_normalize": False, "crop_size": 20},
        {"size": 25, "crop_size": 24, "do_rescale": False, "image_mean": [1, 2, 3], "image_std": [4, 5, 6]},
    ],
)
def test_pixels_are_those_of_their_processor(asked: dict[str, Any], tmp_path: Path) -> None:
    images = _images(1)
    clip = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    theirs = clip.CLIPImageProcessorPil(**asked)
    theirs.save_pretrained(tmp_path)
    settings = read_image_settings(tmp_path)
    expected = theirs(images, return_tensors="pt")["pixel_values"].float()
    assert torch.equal(prepare_images(images, settings), expected)
    write_image_settings(tmp_path / "ours", settings)
    assert read_image_settings(tmp_path / "ours") == settings
    back = clip.CLIPImageProcessorPil.from_pretrained(tmp_path / "ours")
    assert torch.equal(back(images, return_tensors="pt")["pixel_values"].float(), expected)


def test_their_defaults_are_ours() -> None:
    images = _images(2)
    clip = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    theirs = clip.CLIPImageProcessorPil()(images, return_tensors="pt")["pixel_values"]
    assert torch.equal(prepare_images(images, ImageSettings()), theirs)
