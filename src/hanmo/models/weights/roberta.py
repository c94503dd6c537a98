"""RoBERTa and XLM-R as `transformers` stores them: a stack as BERT's, under another name, and heads of their own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from hanmo.models.family import Architecture, Family, within
from hanmo.models.roberta import RobertaConfig, XLMRobertaConfig, roberta, roberta_encoder
from hanmo.models.weights import bert
from hanmo.models.weights.bert import affine, canonical, encoder_rules, output_rules, pooler_rules
from hanmo.models.weights.mapping import Rule

__all__ = ["ROBERTA", "XLM_ROBERTA", "head_rules"]

_PREFIX = "roberta."


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    """Their number of positions includes those up to that of padding, which no token ever takes."""
    positions, pad = values.get("max_position_embeddings", 512), values.get("pad_token_id", 1)
    if isinstance(positions, int) and isinstance(pad, int):
        values["max_position_embeddings"] = positions - pad - 1
    return values


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"max_position_embeddings": values["max_position_embeddings"] + values["pad_token_id"] + 1}


KEYS = replace(
    bert.KEYS,
    defaults={**bert.KEYS.defaults, "norm_eps": 1e-12, "n_segments": 2, "bos_id": 0, "eos_id": 2},
    unfold=_unfold,
    fold=_fold,
)


def head_rules(config: RobertaConfig, head: str) -> list[Rule]:
    """A head by its name there: lm_head, row_classifier, classifier (of tokens), qa_outputs."""
    match head:
        case "lm_head":
            table = affine("head.tokens.dense", "lm_head.dense") + affine("head.tokens.norm", "lm_head.layer_norm")
            return table + output_rules("lm_head", tied=config.tie_embeddings)
        case "row_classifier":
            return affine("head.dense", "classifier.dense") + affine("head.out", "classifier.out_proj")
        case _:
            return affine("head.out", head)


def _with_head(name: str, head: str) -> Architecture:
    def rules(config: RobertaConfig) -> list[Rule]:
        return within("backbone", encoder_rules(config, _PREFIX)) + head_rules(config, head)

    return Architecture(build=partial(roberta, architecture=name), rules=rules)


def _bare(config: RobertaConfig) -> list[Rule]:
    return encoder_rules(config, "") + pooler_rules("")


def _family(model_type: str, config: type[RobertaConfig], name: str, **defaults: Any) -> Family:
    return Family(
        model_type=model_type,
        config=config,
        architectures={
            f"{name}Model": Architecture(build=partial(roberta_encoder, architecture=f"{name}Model"), rules=_bare),
            f"{name}ForMaskedLM": _with_head(f"{name}ForMaskedLM", "lm_head"),
            f"{name}ForSequenceClassification": _with_head(f"{name}ForSequenceClassification", "row_classifier"),
            f"{name}ForTokenClassification": _with_head(f"{name}ForTokenClassification", "classifier"),
            f"{name}ForQuestionAnswering": _with_head(f"{name}ForQuestionAnswering", "qa_outputs"),
        },
        keys=replace(KEYS, defaults={**KEYS.defaults, **defaults}),
        canonical=canonical(_PREFIX),
        copies={
            "lm_head.decoder.weight": f"{_PREFIX}embeddings.word_embeddings.weight",
            "lm_head.decoder.bias": "lm_head.bias",
        },
    )


ROBERTA = _family("roberta", RobertaConfig, "Roberta")
XLM_ROBERTA = _family("xlm-roberta", XLMRobertaConfig, "XLMRoberta", vocab_size=30522)
