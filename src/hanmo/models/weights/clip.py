"""CLIP as `transformers` stores it: separate projections, which are one matrix here, and a convolution over patches.

A directory holds both towers ("clip"), or one of them ("clip_text_model", "clip_vision_model").
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from hanmo.models.clip import CLIPConfig, CLIPTextConfig, CLIPVisionConfig, clip, clip_text, clip_vision
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "TEXT_FAMILY", "TEXT_KEYS", "VISION_FAMILY", "VISION_KEYS", "text_rules", "vision_rules"]

_TOWER = {
    "hidden_size": "d_model",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "d_ff",
    "projection_dim": "d_shared",
    "hidden_act": "activation",
    "attention_dropout": "dropout_attention",
    "layer_norm_eps": "norm_eps",
    "initializer_range": "init_std",
    "initializer_factor": "init_factor",
}
_FIXED = {
    "add_cross_attention": False,
    "is_encoder_decoder": False,
    "pruned_heads": {},
    "quantization_config": None,
    "auto_map": None,
}
# there is no output matrix that could be tied
_HARMLESS = words("tie_word_embeddings")


def _named(model_type: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"model_type": model_type} | values


TEXT_KEYS = ConfigKeys(
    names=_TOWER
    | {
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    defaults={"d_ff": 2048, "bos_id": 49406, "pad_id": 1},
    fixed=_FIXED,
    harmless=_HARMLESS,
    fold=partial(_named, "clip_text_model"),
)

VISION_KEYS = ConfigKeys(
    names=_TOWER | {"image_size": "image_size", "patch_size": "patch_size", "num_channels": "n_channels"},
    defaults={"d_ff": 3072},
    fixed=_FIXED,
    # tokens mean nothing to it, but old files have them
    harmless=_HARMLESS | words("bos_token_id eos_token_id pad_token_id"),
    fold=partial(_named, "clip_vision_model"),
)


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    """`text_config_dict` and its like, which old files have besides, hold all that differs from the defaults."""
    for name in ("text_config", "vision_config"):
        if (whole := values.pop(f"{name}_dict", None)) is not None:
            values[name] = whole
    return values


KEYS = ConfigKeys(
    names={
        "projection_dim": "d_shared",
        "logit_scale_init_value": "log_scale",
        "initializer_factor": "init_factor",
    },
    fixed=_FIXED,
    harmless=_HARMLESS | words("bos_token_id eos_token_id pad_token_id"),
    unfold=_unfold,
    nested={"text_config": ("text", TEXT_KEYS), "vision_config": ("vision", VISION_KEYS)},
)


def _pair(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")]


def _layer_rules(config: CLIPTextConfig | CLIPVisionConfig, prefix: str) -> list[Rule]:
    table: list[Rule] = []
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"{prefix}encoder.layers.{i}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{theirs}.self_attn.{part}_proj.{kind}" for part in "qkv")
            table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", qkv, (config.d_model,) * 3))
        table += _pair(f"{ours}.attention.inner.out", f"{theirs}.self_attn.out_proj")
        table += _pair(f"{ours}.attention.norm", f"{theirs}.layer_norm1")
        table += _pair(f"{ours}.feedforward.inner.up", f"{theirs}.mlp.fc1")
        table += _pair(f"{ours}.feedforward.inner.out", f"{theirs}.mlp.fc2")
        table += _pair(f"{ours}.feedforward.norm", f"{theirs}.layer_norm2")
    return table


def text_rules(config: CLIPTextConfig, prefix: str = "text_model.") -> list[Rule]:
    """The text tower without its projection."""
    return [
        Rule("embedding.token.weight", (f"{prefix}embeddings.token_embedding.weight",)),
        Rule("embedding.positions.weight", (f"{prefix}embeddings.position_embedding.weight",)),
        *_layer_rules(config, prefix),
        *_pair("norm", f"{prefix}final_layer_norm"),
    ]


def vision_rules(config: CLIPVisionConfig, prefix: str = "vision_model.") -> list[Rule]:
    """The image tower without its projection."""
    there = f"{prefix}embeddings"
    patch = (config.d_model, config.n_channels, config.patch_size, config.patch_size)
    return [
        Rule("embedding.whole", (f"{there}.class_embedding",)),
        Rule("embedding.project.weight", (f"{there}.patch_embedding.weight",), stored=patch),
        Rule("embedding.positions.weight", (f"{there}.position_embedding.weight",)),
        *_pair("embedding_norm", f"{prefix}pre_layrnorm"),
        *_layer_rules(config, prefix),
        *_pair("norm", f"{prefix}post_layernorm"),
    ]


def _rules(config: CLIPConfig) -> list[Rule]:
    return [
        *within("text", text_rules(config.text)),
        *within("image", vision_rules(config.vision)),
        Rule("project_text.weight", ("text_projection.weight",)),
        Rule("project_image.weight", ("visual_projection.weight",)),
        Rule("temperature.log_scale", ("logit_scale",)),
    ]


def _text_projected(config: CLIPTextConfig) -> list[Rule]:
    return [*within("tower", text_rules(config)), Rule("project.weight", ("text_projection.weight",))]


def _vision_projected(config: CLIPVisionConfig) -> list[Rule]:
    return [*within("tower", vision_rules(config)), Rule("project.weight", ("visual_projection.weight",))]


def _canonical(name: str, prefix: str = "") -> str | None:
    """The full name of a tensor in a file; None for the counted positions that old files carry."""
    if name.endswith("embeddings.position_ids"):
        return None
    alone = re.match(r"(embeddings|encoder|final_layer_norm|pre_layrnorm|post_layernorm)\.", name)
    return prefix + name if alone else name


FAMILY = Family(
    model_type="clip",
    config=CLIPConfig,
    architectures={
        "CLIPModel": Architecture(build=clip, rules=_rules),
        # one tower of a directory that holds both
        "CLIPTextModel": Architecture(build=lambda c: clip_text(c.text), rules=lambda c: text_rules(c.text)),
        "CLIPTextModelWithProjection": Architecture(
            build=lambda c: clip_text(c.text, "CLIPTextModelWithProjection"), rules=lambda c: _text_projected(c.text)
        ),
        "CLIPVisionModel": Architecture(build=lambda c: clip_vision(c.vision), rules=lambda c: vision_rules(c.vision)),
        "CLIPVisionModelWithProjection": Architecture(
            build=lambda c: clip_vision(c.vision, "CLIPVisionModelWithProjection"),
            rules=lambda c: _vision_projected(c.vision),
        ),
    },
    keys=KEYS,
    canonical=_canonical,
)

TEXT_FAMILY = Family(
    model_type="clip_text_model",
    config=CLIPTextConfig,
    architectures={
        "CLIPTextModel": Architecture(build=clip_text, rules=partial(text_rules, prefix="")),
        "CLIPTextModelWithProjection": Architecture(
            build=partial(clip_text, architecture="CLIPTextModelWithProjection"), rules=_text_projected
        ),
    },
    keys=TEXT_KEYS,
    canonical=partial(_canonical, prefix="text_model."),
)

VISION_FAMILY = Family(
    model_type="clip_vision_model",
    config=CLIPVisionConfig,
    architectures={
        "CLIPVisionModel": Architecture(build=clip_vision, rules=partial(vision_rules, prefix="")),
        "CLIPVisionModelWithProjection": Architecture(
            build=partial(clip_vision, architecture="CLIPVisionModelWithProjection"), rules=_vision_projected
        ),
    },
    keys=VISION_KEYS,
    canonical=partial(_canonical, prefix="vision_model."),
)
