"""BERT as `transformers` stores it: separate projections, which are one matrix here."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from hanmo.models.bert import BertConfig, bert, bert_encoder
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys, words
from hanmo.models.weights.mapping import Rule
from hanmo.models.weights.pattern_keys import PATTERN_KEY

__all__ = ["FAMILY", "KEYS", "affine", "canonical", "encoder_rules", "head_rules", "output_rules", "pooler_rules"]

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
    ours_only={PATTERN_KEY: "attention"},
)


def affine(ours: str, theirs: str) -> list[Rule]:
    """Weight and bias of one matrix or norm."""
    return [Rule(f"{ours}.{kind}", (f"{theirs}.{kind}",)) for kind in ("weight", "bias")]


def encoder_rules(config: BertConfig, prefix: str = "bert.") -> list[Rule]:
    """The stack without a pooler."""
    there = f"{prefix}embeddings"
    table = [
        Rule("embedding.token.weight", (f"{there}.word_embeddings.weight",)),
        Rule("embedding.positions.weight", (f"{there}.position_embeddings.weight",)),
        Rule("embedding.segments.weight", (f"{there}.token_type_embeddings.weight",)),
        *affine("embedding.norm", f"{there}.LayerNorm"),
    ]
    for i in range(config.n_layers):
        ours, theirs = f"stack.layers.{i}", f"{prefix}encoder.layer.{i}"
        for kind in ("weight", "bias"):
            qkv = tuple(f"{theirs}.attention.self.{part}.{kind}" for part in ("query", "key", "value"))
            table.append(Rule(f"{ours}.attention.inner.qkv.{kind}", qkv, (config.d_model,) * 3))
        table += affine(f"{ours}.attention.inner.out", f"{theirs}.attention.output.dense")
        table += affine(f"{ours}.attention.norm", f"{theirs}.attention.output.LayerNorm")
        table += affine(f"{ours}.feedforward.inner.up", f"{theirs}.intermediate.dense")
        table += affine(f"{ours}.feedforward.inner.out", f"{theirs}.output.dense")
        table += affine(f"{ours}.feedforward.norm", f"{theirs}.output.LayerNorm")
    return table


def pooler_rules(prefix: str = "bert.") -> list[Rule]:
    """What summarises the first token."""
    return affine("pooler.dense", f"{prefix}pooler.dense")


def head_rules(config: BertConfig, *heads: str) -> list[Rule]:
    """Heads by their name there: predictions, seq_relationship, classifier, qa_outputs; and crf, which is only ours."""
    table: list[Rule] = []
    for head in heads:
        match head:
            case "predictions":
                table += affine("head.tokens.dense", "cls.predictions.transform.dense")
                table += affine("head.tokens.norm", "cls.predictions.transform.LayerNorm")
                table += output_rules("cls.predictions", tied=config.tie_embeddings)
            case "seq_relationship":
                table += affine("head.pair", "cls.seq_relationship")
            case "crf":
                table += [Rule(f"head.crf.{part}", (f"crf.{part}",)) for part in ("transitions", "start", "end")]
            case _:
                table += affine("head.out", head)
    return table


def output_rules(prefix: str, *, tied: bool) -> list[Rule]:
    """The output matrix of a masked language model, with its bias."""
    if tied:
        return [Rule("head.tokens.bias", (f"{prefix}.bias",))]
    # version 5 keeps two biases there and adds this one; files of version 4 have only the other
    return [
        Rule("head.tokens.out.weight", (f"{prefix}.decoder.weight",)),
        Rule("head.tokens.bias", (f"{prefix}.decoder.bias",), twin=f"{prefix}.bias"),
    ]


def canonical(prefix: str) -> Callable[[str], str | None]:
    """From a tensor's name in a file to its full name, where a stack without a head may leave out `prefix`; None for
    the counted positions that old files carry."""
    old = {"gamma": "weight", "beta": "bias"}

    def full(name: str) -> str | None:
        if name.endswith("embeddings.position_ids"):
            return None
        name = re.sub(r"LayerNorm\.(gamma|beta)$", lambda m: f"LayerNorm.{old[m[1]]}", name)
        return f"{prefix}{name}" if re.match(r"(embeddings|encoder|pooler)\.", name) else name

    return full


def _with_head(name: str, *heads: str, pooler: bool = False) -> Architecture:
    def rules(config: BertConfig) -> list[Rule]:
        backbone = encoder_rules(config) + (pooler_rules() if pooler else [])
        return within("backbone", backbone) + head_rules(config, *heads)

    return Architecture(build=partial(bert, architecture=name), rules=rules)


def _bare(config: BertConfig) -> list[Rule]:
    return encoder_rules(config, "") + pooler_rules("")


_ARCHITECTURES: dict[str, Architecture] = {
    "BertModel": Architecture(build=bert_encoder, rules=_bare),
    "BertForPreTraining": _with_head("BertForPreTraining", "predictions", "seq_relationship", pooler=True),
    "BertForMaskedLM": _with_head("BertForMaskedLM", "predictions"),
    "BertForNextSentencePrediction": _with_head("BertForNextSentencePrediction", "seq_relationship", pooler=True),
    "BertForSequenceClassification": _with_head("BertForSequenceClassification", "classifier", pooler=True),
    "BertForTokenClassification": _with_head("BertForTokenClassification", "classifier"),
    # there it loads as a plain classifier of tokens, with three tensors left over
    "BertCrfForTokenClassification": _with_head("BertCrfForTokenClassification", "classifier", "crf"),
    "BertForQuestionAnswering": _with_head("BertForQuestionAnswering", "qa_outputs"),
}

FAMILY = Family(
    model_type="bert",
    config=BertConfig,
    architectures=_ARCHITECTURES,
    keys=KEYS,
    canonical=canonical("bert."),
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
)
