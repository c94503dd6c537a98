"""XLNet as `transformers` stores it: projections with an axis for the heads, (D, H, K)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule
from hanmo.models.xlnet import XLNetConfig, xlnet, xlnet_encoder

__all__ = ["FAMILY", "KEYS", "encoder_rules"]

_OLD_NAMES = {"n_token": "vocab_size", "hidden_size": "d_model", "num_attention_heads": "n_head"} | {
    "num_hidden_layers": "n_layer"
}


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    """Null means 0 for lengths, and no activation for that of the summary."""
    values = {_OLD_NAMES.get(key, key): value for key, value in values.items()}
    for key, absent in (("mem_len", 0), ("reuse_len", 0), ("summary_activation", "")):
        if key in values and values[key] is None:
            values[key] = absent
    return values


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    return values | {key: values[key] or None for key in ("mem_len", "reuse_len")}


KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "d_model": "d_model",
        "n_layer": "n_layers",
        "n_head": "n_heads",
        "d_head": "d_head",
        "d_inner": "d_ff",
        "ff_activation": "activation",
        "attn_type": "direction",
        "same_length": "same_length",
        "bi_data": "mirrored_halves",
        "clamp_len": "clamp_len",
        "mem_len": "mem_len",
        "reuse_len": "reuse_len",
        "use_mems_eval": "use_mems_eval",
        "use_mems_train": "use_mems_train",
        "summary_type": "summary",
        "summary_use_proj": "summary_dense",
        "summary_activation": "summary_activation",
        "dropout": "dropout",
        "summary_last_dropout": "dropout_head",
        "layer_norm_eps": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "problem_type": "problem_type",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    defaults={
        "d_ff": 4096,
        "mem_len": 512,
        "dropout": 0.1,
        "dropout_head": 0.1,
        "bos_id": 1,
        "eos_id": 2,
        "pad_id": 5,
    },
    fixed={
        "untie_r": True,
        "summary_proj_to_labels": False,
        "summary_first_dropout": 0,
        "add_cross_attention": False,
        "is_encoder_decoder": False,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
    },
    # of a head that searches for the best spans
    harmless=words("start_n_top end_n_top"),
    unfold=_unfold,
    fold=_fold,
    labels=True,
)


def _pair(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")]


def encoder_rules(config: XLNetConfig, prefix: str = "transformer.") -> list[Rule]:
    """The stack."""
    width, heads = config.d_model, (config.d_model, config.n_heads, config.d_head)
    table = [
        Rule("token.weight", (f"{prefix}word_embedding.weight",)),
        Rule("target", (f"{prefix}mask_emb",), stored=(1, 1, width)),
    ]
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"{prefix}layer.{i}"
        inner, there = f"{ours}.attention.inner", f"{theirs}.rel_attn"
        table += [
            Rule(f"{inner}.q.weight", (f"{there}.q",), transposed=True, stored=heads),
            Rule(f"{inner}.kv.weight", (f"{there}.k", f"{there}.v"), (width, width), transposed=True, stored=heads),
            Rule(f"{inner}.distance.weight", (f"{there}.r",), transposed=True, stored=heads),
            Rule(f"{inner}.out.weight", (f"{there}.o",), stored=heads),
            Rule(f"{inner}.content_bias", (f"{there}.r_w_bias",)),
            Rule(f"{inner}.distance_bias", (f"{there}.r_r_bias",)),
            Rule(f"{inner}.segment_bias", (f"{there}.r_s_bias",)),
            Rule(f"{inner}.segments", (f"{there}.seg_embed",)),
            *_pair(f"{ours}.attention.norm", f"{there}.layer_norm"),
            *_pair(f"{ours}.feedforward.inner.up", f"{theirs}.ff.layer_1"),
            *_pair(f"{ours}.feedforward.inner.out", f"{theirs}.ff.layer_2"),
            *_pair(f"{ours}.feedforward.norm", f"{theirs}.ff.layer_norm"),
        ]
    return table


def _head_rules(config: XLNetConfig, name: str) -> list[Rule]:
    match name:
        case "XLNetLMHeadModel":
            matrix = [] if config.tie_embeddings else [Rule("head.out.weight", ("lm_loss.weight",))]
            return [*matrix, Rule("head.bias", ("lm_loss.bias",))]
        case "XLNetForSequenceClassification":
            dense = _pair("head.pool.dense", "sequence_summary.summary") if config.summary_dense else []
            return dense + _pair("head.out", "logits_proj")
        case "XLNetForTokenClassification":
            return _pair("head.out", "classifier")
        case _:
            return _pair("head.out", "qa_outputs")


def _with_head(name: str, *, generates: bool = False) -> Architecture:
    def rules(config: XLNetConfig) -> list[Rule]:
        return within("backbone", encoder_rules(config)) + _head_rules(config, name)

    return Architecture(build=partial(xlnet, architecture=name), rules=rules, generates=generates)


def _canonical(name: str) -> str | None:
    """The full name of a tensor in a file."""
    return f"transformer.{name}" if re.match(r"(word_embedding|mask_emb|layer)\b", name) else name


FAMILY = Family(
    model_type="xlnet",
    config=XLNetConfig,
    architectures={
        "XLNetLMHeadModel": _with_head("XLNetLMHeadModel", generates=True),
        "XLNetModel": Architecture(build=xlnet_encoder, rules=lambda config: encoder_rules(config, "")),
        "XLNetForSequenceClassification": _with_head("XLNetForSequenceClassification"),
        "XLNetForTokenClassification": _with_head("XLNetForTokenClassification"),
        "XLNetForQuestionAnsweringSimple": _with_head("XLNetForQuestionAnsweringSimple"),
    },
    keys=KEYS,
    canonical=_canonical,
    copies={"lm_loss.weight": "transformer.word_embedding.weight"},
)
