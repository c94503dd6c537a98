"""Llama as `transformers` stores it: separate projections, which are one matrix here."""

from __future__ import annotations

import re
from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.llama import LlamaConfig, llama
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "rules"]


def _unfold_rope(values: dict[str, Any]) -> dict[str, Any]:
    """`rope_parameters` (version 5) or `rope_scaling` (before), with or without a base, → `rope_theta` and the rest."""
    rope = values.pop("rope_parameters", None) or values.pop("rope_scaling", None)
    values.pop("rope_scaling", None)
    if not isinstance(rope, dict):
        return values | ({"rope_parameters": rope} if rope else {})
    rope = dict(rope)
    if (base := rope.pop("rope_theta", None)) is not None:
        values["rope_theta"] = base
    kind = rope.pop("rope_type", rope.pop("type", "default"))
    if rope.pop("partial_rotary_factor", 1.0) not in (None, 1.0):
        values["partial_rotary_factor"] = "not 1"
    if kind != "default" or any(value is not None for value in rope.values()):
        values["rope_parameters"] = {"rope_type": kind, **rope}
    return values


def _fold_rope(values: dict[str, Any]) -> dict[str, Any]:
    # Version 5 and newer engines read rope_parameters, everything older rope_theta.
    return values | {"rope_parameters": {"rope_type": "default", "rope_theta": values["rope_theta"]}}


KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "num_key_value_heads": "n_kv_heads",
        "head_dim": "d_head",
        "intermediate_size": "d_ff",
        "hidden_act": "activation",
        "rope_theta": "rope_base",
        "attention_bias": "attention_bias",
        "mlp_bias": "mlp_bias",
        "attention_dropout": "dropout_attention",
        "rms_norm_eps": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    defaults={"d_ff": 11008, "bos_id": 1, "eos_id": 2},
    fixed={
        "is_encoder_decoder": False,
        "add_cross_attention": False,
        "partial_rotary_factor": 1.0,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
    },
    # pretraining_tp slices products that give the same sums.
    harmless=words("pretraining_tp"),
    unfold=_unfold_rope,
    fold=_fold_rope,
)


def rules(config: LlamaConfig) -> list[Rule]:
    """Every parameter of the model and the tensors it is made of there."""
    heads = (config.n_heads * config.d_head, config.n_kv_heads * config.d_head, config.n_kv_heads * config.d_head)
    table = [
        Rule("embedding.token.weight", ("model.embed_tokens.weight",)),
        Rule("stack.norm.weight", ("model.norm.weight",)),
    ]
    attention = ("weight", "bias") if config.attention_bias else ("weight",)
    feedforward = ("weight", "bias") if config.mlp_bias else ("weight",)
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"model.layers.{i}"
        qkv = [f"{theirs}.self_attn.{part}_proj" for part in "qkv"]
        gate_up = [f"{theirs}.mlp.{part}_proj" for part in ("gate", "up")]
        table.append(Rule(f"{ours}.attention.norm.weight", (f"{theirs}.input_layernorm.weight",)))
        table.append(Rule(f"{ours}.feedforward.norm.weight", (f"{theirs}.post_attention_layernorm.weight",)))
        for kind in attention:
            table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", tuple(f"{name}.{kind}" for name in qkv), heads))
            table.append(Rule(f"{ours}.attention.inner.out.{kind}", (f"{theirs}.self_attn.o_proj.{kind}",)))
        for kind in feedforward:
            parts = tuple(f"{name}.{kind}" for name in gate_up)
            table.append(Rule(f"{ours}.feedforward.inner.gate_up.{kind}", parts, (config.d_ff, config.d_ff)))
            table.append(Rule(f"{ours}.feedforward.inner.out.{kind}", (f"{theirs}.mlp.down_proj.{kind}",)))
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("lm_head.weight",)))
    return table


def _canonical(name: str) -> str | None:
    """The full name of a tensor in a file; None for the constant frequencies that old files carry."""
    if name.endswith("rotary_emb.inv_freq"):
        return None
    return f"model.{name}" if re.match(r"(embed_tokens|norm|layers)\.", name) else name


FAMILY = Family(
    model_type="llama",
    config=LlamaConfig,
    architectures={"LlamaForCausalLM": Architecture(build=llama, rules=rules, generates=True)},
    keys=KEYS,
    canonical=_canonical,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
)
