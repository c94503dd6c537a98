"""ALBERT as `transformers` stores it: groups of layers, whose separate projections are one matrix here."""

from __future__ import annotations

from functools import partial

from hanmo.models.albert import AlbertConfig, albert, albert_encoder
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights import bert
from hanmo.models.weights.bert import affine, canonical, output_rules
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "encoder_rules", "head_rules"]

_PREFIX = "albert."

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "embedding_size": "d_embedding",
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_hidden_groups": "n_groups",
        "inner_group_num": "n_inner",
        "num_attention_heads": "n_heads",
        "intermediate_size": "d_ff",
        "type_vocab_size": "n_segments",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "dropout_attention",
        "classifier_dropout_prob": "dropout_head",
        "layer_norm_eps": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "problem_type": "problem_type",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    defaults={"d_model": 4096, "n_heads": 64, "d_ff": 16384, "dropout_head": 0.1, "bos_id": 2, "eos_id": 3},
    # experiments that the first release notes in every file, and that no published model uses
    fixed={
        **bert.KEYS.fixed,
        "net_structure_type": 0,
        "gap_size": 0,
        "num_memory_blocks": 0,
        "down_scale_factor": 1,
        "ln_type": "postln",
    },
    harmless=bert.KEYS.harmless,
    labels=True,
)


def encoder_rules(config: AlbertConfig, prefix: str = _PREFIX) -> list[Rule]:
    """The stack without a pooler."""
    there = f"{prefix}embeddings"
    table = [
        Rule("embedding.token.weight", (f"{there}.word_embeddings.weight",)),
        Rule("embedding.positions.weight", (f"{there}.position_embeddings.weight",)),
        Rule("embedding.segments.weight", (f"{there}.token_type_embeddings.weight",)),
        *affine("embedding.norm", f"{there}.LayerNorm"),
        *affine("embedding.project", f"{prefix}encoder.embedding_hidden_mapping_in"),
    ]
    for i in range(config.n_groups * config.n_inner):
        group, inner = divmod(i, config.n_inner)
        ours = f"stack.layers.{i}"
        theirs = f"{prefix}encoder.albert_layer_groups.{group}.albert_layers.{inner}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{theirs}.attention.{part}.{kind}" for part in ("query", "key", "value"))
            table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", qkv, (config.d_model,) * 3))
        table += affine(f"{ours}.attention.inner.out", f"{theirs}.attention.dense")
        table += affine(f"{ours}.attention.norm", f"{theirs}.attention.LayerNorm")
        table += affine(f"{ours}.feedforward.inner.up", f"{theirs}.ffn")
        table += affine(f"{ours}.feedforward.inner.out", f"{theirs}.ffn_output")
        table += affine(f"{ours}.feedforward.norm", f"{theirs}.full_layer_layer_norm")
    return table


def head_rules(config: AlbertConfig, *heads: str) -> list[Rule]:
    """Heads by their name there: predictions, sop_classifier, classifier, qa_outputs."""
    table: list[Rule] = []
    for head in heads:
        match head:
            case "predictions":
                table += affine("head.tokens.dense", "predictions.dense")
                table += affine("head.tokens.norm", "predictions.LayerNorm")
                table += output_rules("predictions", tied=config.tie_embeddings)
            case "sop_classifier":
                table += affine("head.pair", "sop_classifier.classifier")
            case _:
                table += affine("head.out", head)
    return table


def _with_head(name: str, *heads: str, pooler: bool = False) -> Architecture:
    def rules(config: AlbertConfig) -> list[Rule]:
        backbone = encoder_rules(config) + (affine("pooler.dense", f"{_PREFIX}pooler") if pooler else [])
        return within("backbone", backbone) + head_rules(config, *heads)

    return Architecture(build=partial(albert, architecture=name), rules=rules)


def _bare(config: AlbertConfig) -> list[Rule]:
    return encoder_rules(config, "") + affine("pooler.dense", "pooler")


_ARCHITECTURES: dict[str, Architecture] = {
    "AlbertModel": Architecture(build=albert_encoder, rules=_bare),
    "AlbertForPreTraining": _with_head("AlbertForPreTraining", "predictions", "sop_classifier", pooler=True),
    "AlbertForMaskedLM": _with_head("AlbertForMaskedLM", "predictions"),
    "AlbertForSequenceClassification": _with_head("AlbertForSequenceClassification", "classifier", pooler=True),
    "AlbertForTokenClassification": _with_head("AlbertForTokenClassification", "classifier"),
    "AlbertForQuestionAnswering": _with_head("AlbertForQuestionAnswering", "qa_outputs"),
}

FAMILY = Family(
    model_type="albert",
    config=AlbertConfig,
    architectures=_ARCHITECTURES,
    keys=KEYS,
    canonical=canonical(_PREFIX),
    copies={
        "predictions.decoder.weight": f"{_PREFIX}embeddings.word_embeddings.weight",
        "predictions.decoder.bias": "predictions.bias",
    },
)
