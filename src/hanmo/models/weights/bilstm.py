"""The bidirectional LSTM with its heads under plain names; layers as in `hanmo.models.weights.lstm`."""

from __future__ import annotations

from functools import partial

from hanmo.models.bilstm import BiLSTMConfig, bilstm, bilstm_encoder
from hanmo.models.family import Architecture, Family, within
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.lstm import layer_rules
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "crf_rules", "encoder_rules"]

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "embedding_size": "d_embedding",
        "recurrent_size": "d_hidden",
        "num_hidden_layers": "n_layers",
        "dropout": "dropout",
        "classifier_dropout": "dropout_head",
        "label_scheme": "scheme",
        "initializer_range": "init_std",
        "problem_type": "problem_type",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    },
    labels=True,
)


def encoder_rules(config: BiLSTMConfig) -> list[Rule]:
    """The encoder."""
    return [
        Rule("embedding.token.weight", ("embedding.weight",)),
        *layer_rules("layers.rightward", "encoder.rightward", config.n_layers),
        *layer_rules("layers.leftward", "encoder.leftward", config.n_layers),
    ]


def crf_rules() -> list[Rule]:
    """What a CRF adds to a classifier of tokens."""
    return [Rule(f"head.crf.{part}", (f"crf.{part}",)) for part in ("transitions", "start", "end")]


def _with_head(name: str, *, crf: bool = False) -> Architecture:
    def rules(config: BiLSTMConfig) -> list[Rule]:
        head = [Rule(f"head.out.{kind}", (f"classifier.{kind}",)) for kind in ("weight", "bias")]
        return within("backbone", encoder_rules(config)) + head + (crf_rules() if crf else [])

    return Architecture(build=partial(bilstm, architecture=name), rules=rules)


def _canonical(name: str) -> str:
    return name


FAMILY = Family(
    model_type="hanmo-bilstm",
    config=BiLSTMConfig,
    architectures={
        "BiLSTMModel": Architecture(build=bilstm_encoder, rules=encoder_rules),
        "BiLSTMForSequenceClassification": _with_head("BiLSTMForSequenceClassification"),
        "BiLSTMForTokenClassification": _with_head("BiLSTMForTokenClassification"),
        "BiLSTMCrfForTokenClassification": _with_head("BiLSTMCrfForTokenClassification", crf=True),
    },
    keys=KEYS,
    canonical=_canonical,
)
