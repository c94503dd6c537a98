"""The convolutional encoder with its heads under plain names."""

from __future__ import annotations

from functools import partial

from hanmo.models.cnn import CNNConfig, cnn, cnn_encoder
from hanmo.models.family import Architecture, Family
from hanmo.models.weights.mapping import Rule
from hanmo.models.weights.word_encoder import canonical, embedding_rules, head_names, word_encoder_keys

__all__ = ["FAMILY", "KEYS", "encoder_rules"]

KEYS = word_encoder_keys(num_filters="d_filters", filter_widths="widths", pooling="pool")


def encoder_rules(config: CNNConfig) -> list[Rule]:
    """The encoder."""
    return embedding_rules(config) + [
        Rule(f"layers.filters.{number}.{kind}", (f"filters.{number}.{kind}",))
        for number in range(len(config.widths))
        for kind in ("weight", "bias")
    ]


def _with_head(name: str) -> Architecture:
    return head_names(partial(cnn, architecture=name), encoder_rules)


FAMILY = Family(
    model_type="hanmo-cnn",
    config=CNNConfig,
    architectures={
        "CNNModel": Architecture(build=cnn_encoder, rules=encoder_rules),
        "CNNForSequenceClassification": _with_head("CNNForSequenceClassification"),
        "CNNForTokenClassification": _with_head("CNNForTokenClassification"),
    },
    keys=KEYS,
    canonical=canonical,
)
