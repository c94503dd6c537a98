"""CLIP (Radford et al., 2021): a causal text tower and a vision transformer, learned positions, LayerNorm before each
sublayer, QuickGELU, biases everywhere."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from hanmo.core.settings import Settings
from hanmo.models.checks import check_activation, check_heads
from hanmo.models.towers import ImageTower, ProjectedTower, TextTower, TwoTowers
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.contrastive import Temperature
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.norms import LayerNorm
from hanmo.nn.patches import PatchEmbedding
from hanmo.nn.positions import LearnedPositions
from hanmo.nn.stack import Stack

__all__ = ["SIZES", "CLIPConfig", "CLIPTextConfig", "CLIPVisionConfig", "clip", "clip_text", "clip_vision"]

_LARGEST_ID_RULE = 2
"""The `eos_id` that the first public files have by mistake: with it, a text ends at its largest id, which is right for
their vocabulary, where the end-of-text token is the last."""


class _TowerConfig(Settings):
    """What both towers have."""

    d_model: int = Field(512, gt=0)
    """Width of the residual stream."""
    n_layers: int = Field(12, gt=0, le=4096)
    """Number of blocks."""
    n_heads: int = Field(8, gt=0)
    """Attention heads; must divide d_model."""
    d_ff: int = Field(default_factory=lambda data: 4 * data["d_model"], gt=0)
    """Width inside the feed-forward layer; 4 d_model unless given."""
    d_shared: int = Field(512, gt=0)
    """Width of the space that this tower, standing alone, is projected to."""
    activation: str = "quick_gelu"
    """Name in `hanmo.nn.feedforward.ACTIVATIONS`."""
    dropout_attention: float = Field(0.0, ge=0, lt=1)
    """Probability of dropping an attention weight in training."""
    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance in LayerNorm."""
    init_std: float = Field(0.02, gt=0)
    """Standard deviation of embeddings at the start."""
    init_factor: float = Field(1.0, gt=0)
    """All weights at the start are multiplied by it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_heads(self.d_model, self.n_heads)
        check_activation(self.activation)
        return self


class CLIPTextConfig(_TowerConfig):
    """Shape and constants of the text tower."""

    vocab_size: int = Field(49408, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(77, gt=0)
    """Longest text, in tokens: how many positions are learned."""
    bos_id: int | None = None
    """Token that starts a text, if any."""
    eos_id: int = Field(49407, ge=0)
    """Token that ends a text; 2 means the largest id of each row."""
    pad_id: int | None = None
    """Token that fills up rows."""


class CLIPVisionConfig(_TowerConfig):
    """Shape and constants of the image tower."""

    d_model: int = Field(768, gt=0)
    """Width of the residual stream."""
    n_heads: int = Field(12, gt=0)
    """Attention heads; must divide d_model."""
    image_size: int = Field(224, gt=0)
    """Height and width of images, in pixels."""
    patch_size: int = Field(32, gt=0)
    """Height and width of a patch, in pixels."""
    n_channels: int = Field(3, gt=0)
    """Numbers per pixel."""

    @model_validator(mode="after")
    def _check_patches(self) -> Self:
        if self.patch_size > self.image_size:
            raise ValueError(f"patch_size {self.patch_size} is larger than image_size {self.image_size}")
        return self


class CLIPConfig(Settings):
    """Both towers and what joins them."""

    text: CLIPTextConfig = CLIPTextConfig.model_validate({})
    """The text tower."""
    vision: CLIPVisionConfig = CLIPVisionConfig.model_validate({})
    """The image tower."""
    d_shared: int = Field(512, gt=0)
    """Width of the shared space."""
    log_scale: float = 2.6592
    """Logarithm of what cosines are multiplied by at the start; ln(1 / 0.07)."""
    init_factor: float = Field(1.0, gt=0)
    """Projections at the start are multiplied by it."""


def _size(text: int, image: int, patch: int, layers: int, *, pixels: int = 224) -> dict[str, Any]:
    shared = {"d_shared": text}
    return shared | {
        "text": {"d_model": text, "n_heads": text // 64} | shared,
        "vision": {
            "d_model": image, "n_heads": image // 64, "n_layers": layers, "patch_size": patch, "image_size": pixels,
        } | shared,
    }  # fmt: skip


SIZES: dict[str, dict[str, Any]] = {
    "clip-vit-base-patch32": _size(512, 768, 32, 12),
    "clip-vit-base-patch16": _size(512, 768, 16, 12),
    "clip-vit-large-patch14": _size(768, 1024, 14, 24),
    "clip-vit-large-patch14-336": _size(768, 1024, 14, 24, pixels=336),
}


def clip_text(config: CLIPTextConfig, architecture: str = "CLIPTextModel") -> TextTower | ProjectedTower:
    """Assemble the text tower with fresh weights; with its projection if the name says so."""
    c = config
    tower = TextTower(
        c,
        embedding=Embedding(c.vocab_size, c.d_model, positions=LearnedPositions(c.max_len, c.d_model)),
        stack=_stack(c),
        norm=LayerNorm(c.d_model, eps=c.norm_eps),
        end_id=None if c.eos_id == _LARGEST_ID_RULE else c.eos_id,
        architecture="CLIPTextModel",
    )
    assert tower.embedding.positions is not None
    _draw(tower.embedding.token.weight, c.init_std * c.init_factor)
    _draw(tower.embedding.positions.weight, c.init_std * c.init_factor)
    return tower if architecture == tower.architecture else _project(tower, architecture)


def clip_vision(config: CLIPVisionConfig, architecture: str = "CLIPVisionModel") -> ImageTower | ProjectedTower:
    """Assemble the image tower with fresh weights; with its projection if the name says so."""
    c = config
    tower = ImageTower(
        c,
        embedding=PatchEmbedding(c.d_model, image_size=c.image_size, patch_size=c.patch_size, n_channels=c.n_channels),
        embedding_norm=LayerNorm(c.d_model, eps=c.norm_eps),
        stack=_stack(c),
        norm=LayerNorm(c.d_model, eps=c.norm_eps),
        architecture="CLIPVisionModel",
    )
    _draw(tower.embedding.whole, c.d_model**-0.5 * c.init_factor)
    _draw(tower.embedding.project.weight, c.init_std * c.init_factor)
    _draw(tower.embedding.positions.weight, c.init_std * c.init_factor)
    return tower if architecture == tower.architecture else _project(tower, architecture)


def clip(config: CLIPConfig) -> TwoTowers:
    """Assemble both towers with fresh weights."""
    text, image = clip_text(config.text), clip_vision(config.vision)
    assert isinstance(text, TextTower)
    assert isinstance(image, ImageTower)
    model = TwoTowers(
        config,
        text=text,
        image=image,
        d_shared=config.d_shared,
        temperature=Temperature(config.log_scale),
        architecture="CLIPModel",
    )
    _draw(model.project_text.weight, config.text.d_model**-0.5 * config.init_factor)
    _draw(model.project_image.weight, config.vision.d_model**-0.5 * config.init_factor)
    return model


def _stack(c: _TowerConfig) -> Stack:
    """Layers; their weights start narrower the more of them there are (Radford et al., 2021, §2.5)."""
    wide, deep = c.d_model**-0.5 * c.init_factor, (2 * c.n_layers) ** -0.5

    def block() -> Block:
        attention = SelfAttention(c.d_model, c.n_heads, dropout=c.dropout_attention)
        feedforward = FeedForward(c.d_model, c.d_ff, activation=c.activation)
        for linear, std in (
            (attention.qkv, wide * deep),
            (attention.out, wide),
            (feedforward.up, wide * 2**-0.5),
            (feedforward.out, wide * deep),
        ):
            _draw(linear.weight, std)
            nn.init.zeros_(linear.bias)
        return Block(
            attention=PreNorm(attention, LayerNorm(c.d_model, eps=c.norm_eps)),
            feedforward=PreNorm(feedforward, LayerNorm(c.d_model, eps=c.norm_eps)),
        )

    return Stack([block() for _ in range(c.n_layers)])


def _project(tower: TextTower | ImageTower, architecture: str) -> ProjectedTower:
    c = tower.config
    model = ProjectedTower(tower, d_shared=c.d_shared, architecture=architecture)
    _draw(model.project.weight, c.d_model**-0.5 * c.init_factor)
    return model


def _draw(parameter: Tensor, std: float) -> None:
    """Numbers from N(0, std²), for each matrix its own; nothing on the meta device."""
    if not parameter.is_meta:
        nn.init.normal_(parameter, std=std)
