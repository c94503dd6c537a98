"""BERT as `transformers` stores it: separate projections, which are one matrix here."""

from __future__ import annotations

import re
from functools import partial

from hanmo.models.bert import BertConfig, bert, bert_encoder
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "encoder_rules", "head_rules", "pooler_rules"]

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "intermediate_size": "d_ff",
        "type_vocab_size": "n_segments",
        "hidden_act": "activation",
        "hidden_dropout_prob": "dropout",
        "attention_probs_dropout_prob": "dropout_attention",
        "classifier_dropout": "dropout_head",
        "layer_norm_eps": "norm_eps",
        "initializer_range": "init_std",
        "tie_word_embeddings": "tie_embeddings",
        "problem_type": "problem_type",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    defaults={"d_ff": 3072, "dropout": 0.1, "dropout_attention": 0.1},
    fixed={
        "add_cross_attention": False,
        "is_decoder": False,
        "is_encoder_decoder": False,
        "position_embedding_type": "absolute",
        "pruned_heads": {},
        "quantization_config": None,
        "auto_map": None,
    },
    # of a pooler that the first release described and never used
    harmless=words(
        "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type"
    ),
    labels=True,
)


def _pair(ours: str, theirs: str) -> list[Rule]:
    return [Rule(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")]


def encoder_rules(config: BertConfig, prefix: str = "bert.") -> list[Rule]:
    """The stack without a pooler."""
    there = f"{prefix}embeddings"
    table = [
        Rule("embedding.token.weight", (f"{there}.word_embeddings.weight",)),
        Rule("embedding.positions.weight", (f"{there}.position_embeddings.weight",)),
        Rule("embedding.segments.weight", (f"{there}.token_type_embeddings.weight",)),
        *_pair("embedding.norm", f"{there}.LayerNorm"),
    ]
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"{prefix}encoder.layer.{i}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{theirs}.attention.self.{part}.{kind}" for part in ("query", "key", "value"))
            table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", qkv, (config.d_model,) * 3))
        table += _pair(f"{ours}.attention.inner.out", f"{theirs}.attention.output.dense")
        table += _pair(f"{ours}.attention.norm", f"{theirs}.attention.output.LayerNorm")
        table += _pair(f"{ours}.feedforward.inner.up", f"{theirs}.intermediate.dense")
        table += _pair(f"{ours}.feedforward.inner.out", f"{theirs}.output.dense")
        table += _pair(f"{ours}.feedforward.norm", f"{theirs}.output.LayerNorm")
    return table


def pooler_rules(prefix: str = "bert.") -> list[Rule]:
    """What summarises the first token."""
    return _pair("pooler.dense", f"{prefix}pooler.dense")


def head_rules(config: BertConfig, *heads: str) -> list[Rule]:
    """Heads by their name there: predictions, seq_relationship, classifier, qa_outputs."""
    table: list[Rule] = []
    for head in heads:
        match head:
            case "predictions":
                table += _pair("head.tokens.dense", "cls.predictions.transform.dense")
                table += _pair("head.tokens.norm", "cls.predictions.transform.LayerNorm")
                if config.tie_embeddings:
                    table.append(Rule("head.tokens.bias", ("cls.predictions.bias",)))
                else:
                    # version 5 keeps two biases there and adds this one; files of version 4 have only the other
                    decoder = "cls.predictions.decoder"
                    table.append(Rule("head.tokens.out.weight", (f"{decoder}.weight",)))
                    table.append(Rule("head.tokens.bias", (f"{decoder}.bias",), twin="cls.predictions.bias"))
            case "seq_relationship":
                table += _pair("head.pair", "cls.seq_relationship")
            case _:
                table += _pair("head.out", head)
    return table


def _with_head(name: str, *heads: str, pooler: bool = False) -> Architecture:
    def rules(config: BertConfig) -> list[Rule]:
        backbone = encoder_rules(config) + (pooler_rules() if pooler else [])
        return within("backbone", backbone) + head_rules(config, *heads)

    return Architecture(build=partial(bert, architecture=name), rules=rules)


def _bare(config: BertConfig) -> list[Rule]:
    return encoder_rules(config, "") + pooler_rules("")


def _canonical(name: str) -> str | None:
    """The full name of a tensor in a file; None for the counted positions that old files carry."""
    if name.endswith("embeddings.position_ids"):
        return None
    name = re.sub(r"LayerNorm\.(gamma|beta)$", lambda m: "LayerNorm." + _OLD_NORM[m[1]], name)
    return f"bert.{name}" if re.match(r"(embeddings|encoder|pooler)\.", name) else name


_OLD_NORM = {"gamma": "weight", "beta": "bias"}

_ARCHITECTURES: dict[str, Architecture] = {
    "BertModel": Architecture(build=bert_encoder, rules=_bare),
    "BertForPreTraining": _with_head("BertForPreTraining", "predictions", "seq_relationship", pooler=True),
    "BertForMaskedLM": _with_head("BertForMaskedLM", "predictions"),
    "BertForNextSentencePrediction": _with_head("BertForNextSentencePrediction", "seq_relationship", pooler=True),
    "BertForSequenceClassification": _with_head("BertForSequenceClassification", "classifier", pooler=True),
    "BertForTokenClassification": _with_head("BertForTokenClassification", "classifier"),
    "BertForQuestionAnswering": _with_head("BertForQuestionAnswering", "qa_outputs"),
}

FAMILY = Family(
    model_type="bert",
    config=BertConfig,
    architectures=_ARCHITECTURES,
    keys=KEYS,
    canonical=_canonical,
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)
