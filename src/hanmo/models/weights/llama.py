"""Llama as `transformers` stores it: separate projections, which are one matrix here."""

from __future__ import annotations

import re
from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.llama import LlamaConfig, llama
from hanmo.models.rotary_decoder import RotaryDecoderConfig
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.decoder_heads import HEAD_DEFAULTS, HEAD_FIXED, HEAD_NAMES, decoder_heads
from hanmo.models.weights.mapping import Rule
from hanmo.models.weights.pattern_keys import PATTERN_KEY
from hanmo.models.weights.rope_keys import ROPE_NAMES, fold_rope, unfold_rope

__all__ = ["FAMILY", "KEYS", "canonical", "count_key_heads", "decoder_rules", "rules"]


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
        **ROPE_NAMES,
        "attention_bias": "attention_bias",
        "mlp_bias": "mlp_bias",
        "attention_dropout": "dropout_attention",
        "rms_norm_eps": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
        **HEAD_NAMES,
    },
    defaults={"d_ff": 11008, "bos_id": 1, "eos_id": 2, **HEAD_DEFAULTS},
    fixed={
        "is_encoder_decoder": False,
        "add_cross_attention": False,
        "partial_rotary_factor": 1.0,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
        **HEAD_FIXED,
    },
    labels=True,
    # pretraining_tp slices products that give the same sums.
    harmless=words("pretraining_tp"),
    ours_only={PATTERN_KEY: "attention"},
    unfold=unfold_rope(2048),
    fold=fold_rope,
)


def decoder_rules(
    config: RotaryDecoderConfig,
    *,
    qkv_bias: bool = False,
    out_bias: bool = False,
    mlp_bias: bool = False,
    qk_norm: bool = False,
) -> list[Rule]:
    """Every parameter of a `rotary_decoder` with these choices and the tensors it is made of there."""
    heads = (config.n_heads * config.d_head, config.n_kv_heads * config.d_head, config.n_kv_heads * config.d_head)
    table = [
        Rule("embedding.token.weight", ("model.embed_tokens.weight",)),
        Rule("stack.norm.weight", ("model.norm.weight",)),
    ]
    norms = ("q_norm", "k_norm") if qk_norm else ()
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"model.layers.{i}"
        qkv = [f"{theirs}.self_attn.{part}_proj" for part in "qkv"]
        gate_up = [f"{theirs}.mlp.{part}_proj" for part in ("gate", "up")]
        inner = f"{ours}.attention.inner"
        table.append(Rule(f"{ours}.attention.norm.weight", (f"{theirs}.input_layernorm.weight",)))
        table.append(Rule(f"{ours}.feedforward.norm.weight", (f"{theirs}.post_attention_layernorm.weight",)))
        table += [Rule(f"{inner}.{part}.weight", (f"{theirs}.self_attn.{part}.weight",)) for part in norms]
        for kind in ("weight", "bias") if qkv_bias else ("weight",):
            table.append(Rule(f"{inner}.qkv.{kind}", tuple(f"{name}.{kind}" for name in qkv), heads))
        for kind in ("weight", "bias") if out_bias else ("weight",):
            table.append(Rule(f"{inner}.out.{kind}", (f"{theirs}.self_attn.o_proj.{kind}",)))
        for kind in ("weight", "bias") if mlp_bias else ("weight",):
            parts = tuple(f"{name}.{kind}" for name in gate_up)
            table.append(Rule(f"{ours}.feedforward.inner.gate_up.{kind}", parts, (config.d_ff, config.d_ff)))
            table.append(Rule(f"{ours}.feedforward.inner.out.{kind}", (f"{theirs}.mlp.down_proj.{kind}",)))
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("lm_head.weight",)))
    return table


def rules(config: LlamaConfig) -> list[Rule]:
    """Every parameter of the model and the tensors it is made of there."""
    bias = config.attention_bias
    return decoder_rules(config, qkv_bias=bias, out_bias=bias, mlp_bias=config.mlp_bias)


def count_key_heads(values: dict[str, Any]) -> dict[str, Any]:
    """null means as many key/value heads as query heads, where a missing key means another number."""
    if "num_key_value_heads" in values and values["num_key_value_heads"] is None:
        return values | {"num_key_value_heads": values.get("num_attention_heads", 32)}
    return values


def canonical(name: str) -> str | None:
    """The full name of a tensor in a file; None for the constant frequencies that old files carry."""
    if name.endswith("rotary_emb.inv_freq"):
        return None
    return f"model.{name}" if re.match(r"(embed_tokens|norm|layers)\.", name) else name


FAMILY = Family(
    model_type="llama",
    config=LlamaConfig,
    architectures={
        "LlamaForCausalLM": Architecture(build=llama, rules=rules, generates=True),
        **decoder_heads("Llama", llama, rules),
    },
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
)
