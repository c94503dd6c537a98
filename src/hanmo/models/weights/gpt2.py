"""GPT-2 as `transformers` stores it. Its linear layers ("Conv1D") are (in, out)."""

from __future__ import annotations

import re

from hanmo.models.family import Architecture, Family
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.decoder_heads import HEAD_DEFAULTS, HEAD_FIXED, HEAD_NAMES, decoder_heads
from hanmo.models.weights.mapping import Rule
from hanmo.models.weights.pattern_keys import PATTERN_KEY

__all__ = ["FAMILY", "KEYS", "canonical", "rules"]

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "n_positions": "max_len",
        "n_embd": "d_model",
        "n_layer": "n_layers",
        "n_head": "n_heads",
        "n_inner": "d_ff",
        "activation_function": "activation",
        "embd_pdrop": "dropout_embedding",
        "attn_pdrop": "dropout_attention",
        "resid_pdrop": "dropout_residual",
        "layer_norm_epsilon": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "scale_attn_weights": "scale_scores",
        "scale_attn_by_inverse_layer_idx": "scale_scores_by_depth",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
        **HEAD_NAMES,
    },
    defaults={
        "dropout_embedding": 0.1,
        "dropout_attention": 0.1,
        "dropout_residual": 0.1,
        "bos_id": 50256,
        "eos_id": 50256,
        **HEAD_DEFAULTS,
    },
    fixed={
        "add_cross_attention": False,
        "is_encoder_decoder": False,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
        **HEAD_FIXED,
    },
    labels=True,
    ours_only={PATTERN_KEY: "attention"},
    # n_ctx repeats n_positions; reorder_and_upcast_attn is a way of computing, not another result; summary_* belong to
    # a head for other tasks.
    harmless=words(
        """
        n_ctx reorder_and_upcast_attn summary_type summary_use_proj summary_activation summary_proj_to_labels
        summary_first_dropout
        """
    ),
)


def rules(config: GPT2Config) -> list[Rule]:
    """Every parameter of the model and the tensor it is there."""
    table = [
        Rule("embedding.token.weight", ("transformer.wte.weight",)),
        Rule("embedding.positions.weight", ("transformer.wpe.weight",)),
        Rule("stack.norm.weight", ("transformer.ln_f.weight",)),
        Rule("stack.norm.bias", ("transformer.ln_f.bias",)),
    ]
    for i in range(config.n_layers):
        for ours, theirs in _NORMS.items():
            there = f"transformer.h.{i}.{theirs}"
            table.append(Rule(f"stack.layers.{i}.{ours}.weight", (f"{there}.weight",)))
            table.append(Rule(f"stack.layers.{i}.{ours}.bias", (f"{there}.bias",)))
        for ours, theirs in _LINEARS.items():
            there = f"transformer.h.{i}.{theirs}"
            table.append(Rule(f"stack.layers.{i}.{ours}.weight", (f"{there}.weight",), transposed=True))
            table.append(Rule(f"stack.layers.{i}.{ours}.bias", (f"{there}.bias",)))
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("lm_head.weight",)))
    return table


_NORMS = {"attention.norm": "ln_1", "feedforward.norm": "ln_2"}
_LINEARS = {
    "attention.inner.qkv": "attn.c_attn",
    "attention.inner.out": "attn.c_proj",
    "feedforward.inner.up": "mlp.c_fc",
    "feedforward.inner.out": "mlp.c_proj",
}


def canonical(name: str) -> str | None:
    """The full name of a tensor in a file; None for the constant masks that old files carry."""
    if re.fullmatch(r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)", name):
        return None
    return f"transformer.{name}" if re.match(r"(wte|wpe|ln_f|h)\.", name) else name


FAMILY = Family(
    model_type="gpt2",
    config=GPT2Config,
    architectures={
        "GPT2LMHeadModel": Architecture(build=gpt2, rules=rules, generates=True),
        **decoder_heads("GPT2", gpt2, rules, prefix="transformer.", token_head="classifier"),
    },
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "transformer.wte.weight"},
)
