"""The convolutional encoder with its heads under plain names."""

from __future__ import annotations

from functools import partial

from hanmo.models.cnn import CNNConfig, cnn, cnn_encoder
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "encoder_rules"]

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "embedding_size": "d_embedding",
        "num_filters": "d_filters",
        "filter_widths": "widths",
        "pooling": "pool",
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


def encoder_rules(config: CNNConfig) -> list[Rule]:
    """The encoder."""
    return [
        Rule("embedding.token.weight", ("embedding.weight",)),
        *(
            Rule(f"layers.filters.{number}.{kind}", (f"filters.{number}.{kind}",))
            for number in range(len(config.widths))
            for kind in ("weight", "bias")
        ),
    ]


def _with_head(name: str) -> Architecture:
    def rules(config: CNNConfig) -> list[Rule]:
        head = [Rule(f"head.out.{kind}", (f"classifier.{kind}",)) for kind in ("weight", "bias")]
        return within("backbone", encoder_rules(config)) + head

    return Architecture(build=partial(cnn, architecture=name), rules=rules)


def _canonical(name: str) -> str:
    return name


FAMILY = Family(
    model_type="hanmo-cnn",
    config=CNNConfig,
    architectures={
        "CNNModel": Architecture(build=cnn_encoder, rules=encoder_rules),
        "CNNForSequenceClassification": _with_head("CNNForSequenceClassification"),
        "CNNForTokenClassification": _with_head("CNNForTokenClassification"),
    },
    keys=KEYS,
    canonical=_canonical,
)
