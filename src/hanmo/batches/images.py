"""Images to normalised pixels, as `preprocessor_config.json` of a model directory says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from hanmo.core.errors import ConfigError, DataError, FormatError, MissingExtraError, ModelError
from hanmo.core.files import read_json, write_json
from hanmo.core.settings import Settings, check_settings

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageSettings", "prepare_images", "read_image_settings", "write_image_settings"]

_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers of filters, which the files hold, and their names."""
_BOOKKEEPING = {
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "auto_map",
    "data_format",
    "input_data_format",
    "return_tensors",
    "device",
    "disable_grouping",
}


class ImageSettings(Settings):
    """What happens to an image, in this order. The defaults are those of CLIP."""

    rgb: bool = True
    """Make red, green and blue of whatever it is, on a white ground where it is transparent."""
    resize: bool = True
    """Whether the size is changed."""
    shortest_edge: int | None = Field(224, gt=0)
    """Pixels of the shorter side after that, the other in proportion; None if `resize_to` says both."""
    resize_to: tuple[int, int] | None = None
    """Height and width after that, in proportion or not."""
    resample: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] = "bicubic"
    """Pillow's filter for it."""
    crop: bool = True
    """Whether the middle is cut out."""
    crop_to: tuple[int, int] = (224, 224)
    """Height and width of the cut; an image that is smaller gets a black frame."""
    rescale: bool = True
    """Whether values are multiplied by `factor`."""
    factor: float = Field(1 / 255, gt=0)
    """1 / 255 turns bytes into 0 … 1."""
    normalise: bool = True
    """Whether `mean` is subtracted and the rest divided by `std`."""
    mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    """Per channel."""
    std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    """Per channel."""


def prepare_images(images: Sequence[Image | np.ndarray | str | Path], settings: ImageSettings) -> Tensor:
    """Pixels of a batch.

    Args:
        images: of Pillow, arrays (height, width) or (height, width, 3) of bytes, or files.
        settings: what to do.

    Returns:
        (B, C, height, width) fp32.

    Raises:
        MissingExtraError: if Pillow is not installed.
        DataError: names the file that is no image, or the image whose size differs from the first.
        ConfigError: if there is no image.
    """
    if not images:
        raise ConfigError("there is no image", where="images")
    ready = [_prepare(_open(image, number), settings) for number, image in enumerate(images)]
    for number, pixels in enumerate(ready):
        if pixels.shape != ready[0].shape:
            raise DataError(
                f"image {number} ends up as {pixels.shape[1:]} pixels in {pixels.shape[0]} channels, "
                f"image 0 as {ready[0].shape[1:]} in {ready[0].shape[0]}",
                where="images",
                remedy="Let the settings resize to one size, crop, and make RGB.",
            )
    return torch.from_numpy(np.stack(ready))


def read_image_settings(path: str | Path) -> ImageSettings:
    """Read `preprocessor_config.json` (or the image part of `processor_config.json`) of a model directory.

    Raises:
        ModelError: if neither is there, one is damaged, or it asks for something that is not done here.
    """
    path = Path(path)
    files = [path] if path.suffix == ".json" else [path / "preprocessor_config.json", path / "processor_config.json"]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        raise ModelError("there is no preprocessor_config.json", where=path, remedy="Copy it from the same model.")
    try:
        values = read_json(file)
    except (FormatError, OSError) as error:
        raise ModelError("cannot read this file", where=file, remedy="Copy or download it again.") from error
    if isinstance(values, dict) and isinstance(values.get("image_processor"), dict):
        values = values["image_processor"]
    if not isinstance(values, dict):
        raise ModelError("not a JSON object", where=file)
    try:
        return check_settings(ImageSettings, _read_keys(values))
    except ConfigError as error:
        raise ModelError(f"settings that cannot work ({error})", where=file) from error


def write_image_settings(path: str | Path, settings: ImageSettings) -> None:
    """Write `preprocessor_config.json` into a model directory, as `transformers` reads it.

    Raises:
        StorageError: if the disk is full or may not be written.
    """
    s = settings
    if s.resize_to is not None:
        size = {"height": s.resize_to[0], "width": s.resize_to[1]}
    else:
        size = {"shortest_edge": s.shortest_edge}
    values = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": s.rgb,
        "do_resize": s.resize,
        "size": size,
        "resample": next(number for number, name in _FILTERS.items() if name == s.resample),
        "do_center_crop": s.crop,
        "crop_size": {"height": s.crop_to[0], "width": s.crop_to[1]},
        "do_rescale": s.rescale,
        "rescale_factor": s.factor,
        "do_normalize": s.normalise,
        "image_mean": list(s.mean),
        "image_std": list(s.std),
    }
    write_json(Path(path) / "preprocessor_config.json", values)


_PLAIN = {
    "do_convert_rgb": "rgb",
    "do_resize": "resize",
    "do_center_crop": "crop",
    "do_rescale": "rescale",
    "rescale_factor": "factor",
    "do_normalize": "normalise",
    "image_mean": "mean",
    "image_std": "std",
}


def _read_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields from their keys; null means the default."""
    ours: dict[str, Any] = {}
    for key, value in values.items():
        if value is None or key in _BOOKKEEPING:
            continue
        if key in _PLAIN:
            ours[_PLAIN[key]] = value
        elif key == "size":
            ours |= _read_size(value)
        elif key == "crop_size":
            ours["crop_to"] = _both(value) if isinstance(value, Mapping) else (value, value)
        elif key == "resample":
            ours["resample"] = _FILTERS.get(value, value)
        elif value not in (False, [], {}):
            raise ConfigError(f"{key} = {value!r} is not supported here", where=key)
    return ours


def _read_size(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"shortest_edge": value}  # as old files have it
    named = {key: number for key, number in value.items() if number is not None}
    if set(named) == {"shortest_edge"}:
        return named
    return {"shortest_edge": None, "resize_to": _both(named)}


def _both(value: Mapping[str, Any]) -> tuple[Any, Any]:
    named = {key: number for key, number in value.items() if number is not None}
    if set(named) != {"height", "width"}:
        raise ConfigError(f"size = {dict(value)!r} is not supported here", remedy="Give height and width.")
    return named["height"], named["width"]


def _open(image: Image | np.ndarray | str | Path, number: int) -> Image:
    try:
        from PIL import Image as pillow
        from PIL import UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("pillow", "images", "preparing images") from error
    if isinstance(image, (str, Path)):
        try:
            with pillow.open(image) as opened:
                opened.load()
                return opened
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise DataError(f"not a whole image ({error})", where=image) from error
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise DataError(
                f"image {number} is an array of {image.dtype} of shape {image.shape}", where="images",
                remedy="Give bytes of shape (height, width) or (height, width, 3).",
            )  # fmt: skip
        return pillow.fromarray(image)
    return image


def _prepare(image: Image, s: ImageSettings) -> np.ndarray:
    """(C, height, width) fp32."""
    from PIL.Image import Resampling

    if s.rgb:
        image = _on_white(image).convert("RGB")
    if s.resize:
        height, width = s.resize_to or _in_proportion(image, s.shortest_edge)
        image = image.resize((width, height), Resampling[s.resample.upper()])
    pixels = np.asarray(image)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if s.crop:
        pixels = _middle(pixels, *s.crop_to)
    # the product of fp64 is rounded once
    pixels = (pixels.astype(np.float64) * (s.factor if s.rescale else 1.0)).astype(np.float32)
    if s.normalise:
        mean, std = (np.asarray(value, np.float32)[:, None, None] for value in (s.mean, s.std))
        if len(mean) != len(pixels) or len(std) != len(pixels):
            raise ConfigError(f"an image of {len(pixels)} channels, but mean and std of {len(mean)} and {len(std)}")
        pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels)


def _on_white(image: Image) -> Image:
    from PIL import Image as pillow

    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image
    return pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image.convert("RGBA"))


def _in_proportion(image: Image, shortest_edge: int | None) -> tuple[int, int]:
    """Height and width."""
    if shortest_edge is None:
        raise ConfigError("neither shortest_edge nor resize_to is given", where="resize")
    short, long = sorted(image.size)
    longer = int(shortest_edge * long / short)
    return (longer, shortest_edge) if image.width <= image.height else (shortest_edge, longer)


def _middle(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut (C, h, w) to (C, height, width), with zeros around where it is smaller."""
    for axis, wanted in ((1, height), (2, width)):
        have = pixels.shape[axis]
        if have >= wanted:
            start = (have - wanted) // 2
            pixels = pixels.take(range(start, start + wanted), axis)
        else:
            before = (wanted - have + 1) // 2
            frame = [(0, 0)] * 3
            frame[axis] = (before, wanted - have - before)
            pixels = np.pad(pixels, frame)
    return pixels
