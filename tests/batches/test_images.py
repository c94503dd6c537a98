"""Settings of image preparation, and images that cannot be used. Pixels are compared in tests/parity/test_clip.py."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hanmo.batches.images import ImageSettings, prepare_images, read_image_settings
from hanmo.core.errors import ConfigError, DataError, MissingExtraError, ModelError

SMALL = ImageSettings(shortest_edge=4, crop_to=(4, 4))


def test_old_files_and_files_of_whole_processors_are_read(tmp_path: Path) -> None:
    old = {
        "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224,
    }  # fmt: skip
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(old))
    assert read_image_settings(tmp_path) == ImageSettings()
    assert read_image_settings(tmp_path / "preprocessor_config.json") == ImageSettings()
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": old | {"size": {"shortest_edge": 9}}})
    )
    assert read_image_settings(tmp_path) == ImageSettings(shortest_edge=9)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"do_pad": true}', "do_pad = True is not supported"),
        ('{"size": {"longest_edge": 9}}', "is not supported here"),
        ('{"crop_size": {"height": 9}}', "is not supported here"),
        ('{"resample": 9}', "resample"),
        ('{"size": -3}', "shortest_edge"),
        ('{"rescale_factor": 0}', "factor"),
        ("[1]", "not a JSON object"),
        ("{", "cannot read"),
        (None, "there is no preprocessor_config.json"),
    ],
)
def test_settings_that_cannot_work_are_named(text: str | None, match: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ModelError, match=match):
        read_image_settings(tmp_path)


@pytest.fixture
def pillow() -> Any:
    return pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra 'images')")


def test_files_arrays_and_images_are_the_same(pillow: Any, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    image = pillow.fromarray(array)
    image.save(tmp_path / "图.png")
    pixels = prepare_images([array, image, tmp_path / "图.png", str(tmp_path / "图.png")], SMALL)
    assert pixels.shape == (4, 3, 4, 4)
    assert pixels.dtype == torch.float32
    assert all(torch.equal(row, pixels[0]) for row in pixels)


def test_images_that_cannot_be_used_are_named(pillow: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no image"):
        prepare_images([], SMALL)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png: not a whole image"):
        prepare_images([tmp_path / "text.png"], SMALL)
    pillow.new("RGB", (50, 50)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.png"):
        prepare_images([tmp_path / "cut.png"], SMALL)
    with pytest.raises(DataError, match=r"gone\.png"):
        prepare_images([tmp_path / "gone.png"], SMALL)
    with pytest.raises(DataError, match="array of float64"):
        prepare_images([np.zeros((3, 3))], SMALL)
    as_they_are = SMALL.model_copy(update={"resize": False, "crop": False})
    with pytest.raises(DataError, match=r"image 1 ends up as \(3, 3\) pixels in 3 channels, image 0 as \(2, 2\)"):
        prepare_images([pillow.new("RGB", (2, 2)), pillow.new("RGB", (3, 3))], as_they_are)
    with pytest.raises(ConfigError, match="an image of 1 channels"):
        prepare_images([pillow.new("L", (5, 5))], SMALL.model_copy(update={"rgb": False}))


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"hanmo\[images\]"):
        prepare_images([np.zeros((3, 3), np.uint8)], SMALL)
