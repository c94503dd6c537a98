"""The first Transformer as `transformers` stores it under the name of Marian: separate projections, which are one
matrix here."""

from __future__ import annotations

import re
from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.transformer import TransformerConfig, transformer
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "rules"]


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    """Drop the second name of a size where it says the same as the first."""
    for other, name in (
        ("num_hidden_layers", "encoder_layers"),
        ("num_attention_heads", "encoder_attention_heads"),
        ("hidden_size", "d_model"),
    ):
        if other in values and values[other] == values.setdefault(name, values[other]):
            del values[other]
    return values


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    # older readers ask for the two that say what kind of Transformer it is, and for the second name of the depth
    return values | {
        "is_encoder_decoder": True,
        "normalize_before": False,
        "static_position_embeddings": True,
        "num_hidden_layers": values["encoder_layers"],
        "forced_eos_token_id": None,
    }


KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "decoder_vocab_size": "decoder_vocab_size",
        "max_position_embeddings": "max_len",
        "d_model": "d_model",
        "encoder_layers": "n_layers",
        "encoder_attention_heads": "n_heads",
        "encoder_ffn_dim": "d_ff",
        "decoder_layers": "n_decoder_layers",
        "decoder_attention_heads": "n_decoder_heads",
        "decoder_ffn_dim": "d_decoder_ff",
        "activation_function": "activation",
        "dropout": "dropout",
        "attention_dropout": "dropout_attention",
        "activation_dropout": "dropout_activation",
        "scale_embedding": "scale_embedding",
        "share_encoder_decoder_embeddings": "share_embeddings",
        "tie_word_embeddings": "tie_embeddings",
        "init_std": "init_std",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
        "decoder_start_token_id": "decoder_start_id",
    },
    defaults={
        "vocab_size": 58101,
        "d_model": 1024,
        "n_layers": 12,
        "n_heads": 16,
        "d_ff": 4096,
        "n_decoder_layers": 12,
        "n_decoder_heads": 16,
        "d_decoder_ff": 4096,
        "activation": "gelu",
        "dropout": 0.1,
        "scale_embedding": False,
        "pad_id": 58100,
        "decoder_start_id": 58100,
    },
    fixed={
        "is_encoder_decoder": True,
        "static_position_embeddings": True,
        "normalize_before": False,
        "normalize_embedding": False,
        "add_final_layer_norm": False,
        "add_bias_logits": False,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "add_cross_attention": False,
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
    },
    # of other heads, or of a way to learn positions that is not taken
    harmless=words("classif_dropout classifier_dropout extra_pos_embeddings _num_labels"),
    unfold=_unfold,
    fold=_fold,
)


def _pair(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")]


def _block_rules(c: TransformerConfig, ours: str, theirs: str, *, decodes: bool) -> list[Rule]:
    table = []
    for kind in ("weight", "bias"):
        qkv = tuple(f"{theirs}.self_attn.{part}_proj.{kind}" for part in "qkv")
        table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", qkv, (c.d_model,) * 3))
    table += _pair(f"{ours}.attention.inner.out", f"{theirs}.self_attn.out_proj")
    table += _pair(f"{ours}.attention.norm", f"{theirs}.self_attn_layer_norm")
    table += _pair(f"{ours}.feedforward.inner.up", f"{theirs}.fc1")
    table += _pair(f"{ours}.feedforward.inner.out", f"{theirs}.fc2")
    table += _pair(f"{ours}.feedforward.norm", f"{theirs}.final_layer_norm")
    if decodes:
        for kind in ("weight", "bias"):
            kv = tuple(f"{theirs}.encoder_attn.{part}_proj.{kind}" for part in "kv")
            table.append(Rule(f"{ours}.cross_attention.inner.kv.{kind}", kv, (c.d_model,) * 2))
        table += _pair(f"{ours}.cross_attention.inner.q", f"{theirs}.encoder_attn.q_proj")
        table += _pair(f"{ours}.cross_attention.inner.out", f"{theirs}.encoder_attn.out_proj")
        table += _pair(f"{ours}.cross_attention.norm", f"{theirs}.encoder_attn_layer_norm")
    return table


def rules(config: TransformerConfig) -> list[Rule]:
    """Every parameter of the model and the tensors it is made of there."""
    source = "model.shared.weight" if config.share_embeddings else "model.encoder.embed_tokens.weight"
    table = [
        Rule("encoder.embedding.token.weight", (source,)),
        Rule("logits_bias", ("final_logits_bias",), stored=(1, config.decoder_vocab_size)),
    ]
    if not config.share_embeddings:
        table.append(Rule("decoder_embedding.token.weight", ("model.decoder.embed_tokens.weight",)))
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("lm_head.weight",)))
    for i in range(config.n_layers):
        table += _block_rules(config, f"encoder.stack.layers.{i}", f"model.encoder.layers.{i}", decodes=False)
    for i in range(config.n_decoder_layers):
        table += _block_rules(config, f"decoder.layers.{i}", f"model.decoder.layers.{i}", decodes=True)
    return table


def _canonical(name: str) -> str | None:
    """The name of a tensor in a file; None for the waves, which old files carry."""
    return None if re.fullmatch(r"model\.(encoder|decoder)\.embed_positions\.weight", name) else name


FAMILY = Family(
    model_type="marian",
    config=TransformerConfig,
    architectures={"MarianMTModel": Architecture(build=transformer, rules=rules, generates=True)},
    keys=KEYS,
    canonical=_canonical,
    copies={
        "model.encoder.embed_tokens.weight": "model.shared.weight",
        "model.decoder.embed_tokens.weight": "model.shared.weight",
        "lm_head.weight": "model.shared.weight",
    },
)
