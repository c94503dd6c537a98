"""Decoders without their output matrix, bare or under a classifier, as `transformers` stores them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hanmo.models.causal_lm import CausalLM
from hanmo.models.decoder_heads import decoder_backbone, decoder_with_head, without_output
from hanmo.models.family import Architecture, within
from hanmo.models.weights.mapping import Rule

__all__ = ["HEAD_DEFAULTS", "HEAD_FIXED", "HEAD_NAMES", "decoder_heads"]

HEAD_NAMES: Mapping[str, str] = {"problem_type": "problem_type", "classifier_dropout": "dropout_head"}
"""Keys of config.json → fields of `DecoderHeadSettings`, for the `names` of a causal family."""
HEAD_DEFAULTS: Mapping[str, Any] = {"dropout_head": 0.1}
"""What a missing key means there, for the `defaults`."""
HEAD_FIXED: Mapping[str, Any] = {"token_classification_bias": True}
"""For the `fixed`."""


def decoder_heads(
    name: str,
    decoder: Callable[[Any], CausalLM],
    rules: Callable[[Any], list[Rule]],
    *,
    prefix: str = "model.",
    token_head: str = "score",
) -> dict[str, Architecture]:
    """`{name}Model`, `{name}ForSequenceClassification` and `{name}ForTokenClassification` of a causal family.

    Args:
        name: what its classes begin with.
        decoder: its builder.
        rules: those of its causal language model.
        prefix: what the names of the stack's tensors begin with where there is a head.
        token_head: name of the classifier of tokens.
    """

    def bare(config: Any) -> list[Rule]:
        table = within("decoder", rules(without_output(config)))
        return [replace(rule, theirs=tuple(part.removeprefix(prefix) for part in rule.theirs)) for rule in table]

    def with_head(*head: Rule) -> Callable[[Any], list[Rule]]:
        return lambda config: within("backbone.decoder", rules(without_output(config))) + list(head)

    rows, tokens = f"{name}ForSequenceClassification", f"{name}ForTokenClassification"
    return {
        f"{name}Model": Architecture(
            build=partial(decoder_backbone, decoder=decoder, architecture=f"{name}Model"), rules=bare
        ),
        rows: Architecture(
            build=partial(decoder_with_head, decoder=decoder, architecture=rows),
            rules=with_head(Rule("head.out.weight", ("score.weight",))),
        ),
        tokens: Architecture(
            build=partial(decoder_with_head, decoder=decoder, architecture=tokens),
            rules=with_head(*(Rule(f"head.out.{kind}", (f"{token_head}.{kind}",)) for kind in ("weight", "bias"))),
        ),
    }
