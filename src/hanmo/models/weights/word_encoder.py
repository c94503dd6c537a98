"""What the encoders over word vectors are called in files: plain names, each with its layers added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hanmo.models.family import Architecture, within
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule
from hanmo.models.word_encoder import WordEncoderConfig

__all__ = ["canonical", "embedding_rules", "head_names", "word_encoder_keys"]


def word_encoder_keys(**names: str) -> ConfigKeys:
    """Keys of config.json, and those of a family: its key → our name."""
    return ConfigKeys(
        names={
            "vocab_size": "vocab_size",
            "embedding_size": "d_embedding",
            "type_vocab_size": "n_segments",
            "characters": "characters",
            "character_size": "d_character",
            "num_character_filters": "n_character_filters",
            "word_length": "word_length",
            **names,
            "dropout": "dropout",
            "classifier_dropout": "dropout_head",
            "initializer_range": "init_std",
            "problem_type": "problem_type",
            "bos_token_id": "bos_id",
            "eos_token_id": "eos_id",
            "pad_token_id": "pad_id",
        },
        labels=True,
    )


def embedding_rules(config: WordEncoderConfig) -> list[Rule]:
    """The tables."""
    rules = [Rule("embedding.token.weight", ("embedding.weight",))]
    if config.n_segments:
        rules.append(Rule("segments.weight", ("segments.weight",)))
    if config.characters:
        rules += [
            Rule("characters.characters.weight", ("characters.embedding.weight",)),
            *(Rule(f"characters.filters.{kind}", (f"characters.filters.{kind}",)) for kind in ("weight", "bias")),
        ]
    return rules


def head_names(
    build: Callable[..., Any], encoder_rules: Callable[[Any], list[Rule]], *, crf: bool = False
) -> Architecture:
    """A class with a linear head, or one with a CRF above it."""

    def rules(config: Any) -> list[Rule]:
        head = [Rule(f"head.out.{kind}", (f"classifier.{kind}",)) for kind in ("weight", "bias")]
        chain = [Rule(f"head.crf.{part}", (f"crf.{part}",)) for part in ("transitions", "start", "end")]
        return within("backbone", encoder_rules(config)) + head + (chain if crf else [])

    return Architecture(build=build, rules=rules)


def canonical(name: str) -> str:
    """Names in files are full names."""
    return name
