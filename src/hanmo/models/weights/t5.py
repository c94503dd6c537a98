"""T5 and mT5 as `transformers` stores them: separate projections, which are one matrix here."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

from hanmo.models.family import Architecture, Family, within
from hanmo.models.t5 import MT5Config, T5Config, t5, t5_encoder
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "MT5_FAMILY", "encoder_rules", "rules"]


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    """`feed_forward_proj` → activation and gate; whether outputs are scaled, which older files say by the tie."""
    if any(str(name).endswith("EncoderModel") for name in values.get("architectures") or ()):
        values.pop("is_encoder_decoder", None)  # follows from the class, and files have either
    kind = values.pop("feed_forward_proj", None)
    if isinstance(kind, str):
        gate, _, name = kind.rpartition("-")
        if gate in ("", "gated"):
            values = {"dense_act_fn": "gelu_new" if kind == "gated-gelu" else name, "is_gated_act": bool(gate)} | values
        else:
            values["feed_forward_proj"] = kind
    if "scale_decoder_outputs" not in values:
        values["scale_decoder_outputs"] = values.get("tie_word_embeddings") is not False
    return values


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    name = values["dense_act_fn"]
    kind = f"gated-{'gelu' if name == 'gelu_new' else name}" if values["is_gated_act"] else name
    return values | {"feed_forward_proj": kind, "is_encoder_decoder": True}


KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "d_model": "d_model",
        "d_kv": "d_head",
        "num_heads": "n_heads",
        "d_ff": "d_ff",
        "num_layers": "n_layers",
        "num_decoder_layers": "n_decoder_layers",
        "relative_attention_num_buckets": "n_buckets",
        "relative_attention_max_distance": "max_distance",
        "dense_act_fn": "activation",
        "is_gated_act": "gated",
        "dropout_rate": "dropout",
        "layer_norm_epsilon": "norm_eps",
        "tie_word_embeddings": "tie_embeddings",
        "scale_decoder_outputs": "scale_outputs",
        "initializer_factor": "init_factor",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
        "decoder_start_token_id": "decoder_start_id",
    },
    defaults={"d_ff": 2048, "dropout": 0.1},
    fixed={
        "add_cross_attention": False,
        "is_encoder_decoder": True,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
    },
    # n_positions limited only what the model was trained on
    harmless=words("n_positions classifier_dropout"),
    unfold=_unfold,
    fold=_fold,
)


def _unfold_mt5(values: dict[str, Any]) -> dict[str, Any]:
    return _unfold({"feed_forward_proj": "gated-gelu", "scale_decoder_outputs": False} | values)


_MT5_KEYS = replace(
    KEYS,
    names={key: name for key, name in KEYS.names.items() if name != "scale_outputs"},
    defaults={"d_ff": 1024, "dropout": 0.1, "tie_embeddings": True},
    fixed={**KEYS.fixed, "scale_decoder_outputs": False},
    unfold=_unfold_mt5,
)


def _block_rules(c: T5Config, ours: str, theirs: str, *, decodes: bool) -> list[Rule]:
    width = c.n_heads * c.d_head
    own, source, last = f"{theirs}.layer.0", f"{theirs}.layer.1", f"{theirs}.layer.{2 if decodes else 1}"
    qkv = tuple(f"{own}.SelfAttention.{part}.weight" for part in "qkv")
    table = [
        Rule(f"{ours}.attention.inner.qkv.weight", qkv, (width,) * 3),
        Rule(f"{ours}.attention.inner.out.weight", (f"{own}.SelfAttention.o.weight",)),
        Rule(f"{ours}.attention.norm.weight", (f"{own}.layer_norm.weight",)),
        Rule(f"{ours}.feedforward.inner.out.weight", (f"{last}.DenseReluDense.wo.weight",)),
        Rule(f"{ours}.feedforward.norm.weight", (f"{last}.layer_norm.weight",)),
    ]
    if c.gated:
        gate_up = tuple(f"{last}.DenseReluDense.wi_{part}.weight" for part in (0, 1))
        table.append(Rule(f"{ours}.feedforward.inner.gate_up.weight", gate_up, (c.d_ff,) * 2))
    else:
        table.append(Rule(f"{ours}.feedforward.inner.up.weight", (f"{last}.DenseReluDense.wi.weight",)))
    if decodes:
        kv = tuple(f"{source}.EncDecAttention.{part}.weight" for part in "kv")
        table += [
            Rule(f"{ours}.cross_attention.inner.q.weight", (f"{source}.EncDecAttention.q.weight",)),
            Rule(f"{ours}.cross_attention.inner.kv.weight", kv, (width,) * 2),
            Rule(f"{ours}.cross_attention.inner.out.weight", (f"{source}.EncDecAttention.o.weight",)),
            Rule(f"{ours}.cross_attention.norm.weight", (f"{source}.layer_norm.weight",)),
        ]
    return table


def _bias_rule(ours: str, stack: str) -> Rule:
    return Rule(f"{ours}.weight", (f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",))


def encoder_rules(config: T5Config) -> list[Rule]:
    """Every parameter of the encoder and the tensors it is made of there."""
    table = [
        Rule("embedding.token.weight", ("shared.weight",)),
        _bias_rule("bias", "encoder"),
        Rule("stack.norm.weight", ("encoder.final_layer_norm.weight",)),
    ]
    for i in range(config.n_layers):
        table += _block_rules(config, f"stack.layers.{i}", f"encoder.block.{i}", decodes=False)
    return table


def rules(config: T5Config) -> list[Rule]:
    """Every parameter of the whole model and the tensors it is made of there."""
    table = [
        *within("encoder", encoder_rules(config)),
        _bias_rule("decoder_bias", "decoder"),
        Rule("decoder.norm.weight", ("decoder.final_layer_norm.weight",)),
    ]
    for i in range(config.n_decoder_layers):
        table += _block_rules(config, f"decoder.layers.{i}", f"decoder.block.{i}", decodes=True)
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("lm_head.weight",)))
    return table


def _canonical(name: str) -> str | None:
    """The name of a tensor in a file; None for a bias that old files have and nothing ever read."""
    return None if re.fullmatch(r"decoder\..*\.EncDecAttention\.relative_attention_bias\.weight", name) else name


FAMILY = Family(
    model_type="t5",
    config=T5Config,
    architectures={
        "T5ForConditionalGeneration": Architecture(build=t5, rules=rules, generates=True),
        "T5EncoderModel": Architecture(build=t5_encoder, rules=encoder_rules),
    },
    keys=KEYS,
    canonical=_canonical,
    copies={
        "encoder.embed_tokens.weight": "shared.weight",
        "decoder.embed_tokens.weight": "shared.weight",
        "lm_head.weight": "shared.weight",
    },
    own_head="lm_head.weight",
)

MT5_FAMILY = replace(
    FAMILY,
    model_type="mt5",
    config=MT5Config,
    architectures={
        "MT5ForConditionalGeneration": Architecture(
            build=partial(t5, architecture="MT5ForConditionalGeneration"), rules=rules, generates=True
        ),
        "MT5EncoderModel": Architecture(build=partial(t5_encoder, architecture="MT5EncoderModel"), rules=encoder_rules),
    },
    keys=_MT5_KEYS,
)
