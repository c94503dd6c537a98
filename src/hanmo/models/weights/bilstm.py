"""The bidirectional LSTM with its heads under plain names; layers as in `hanmo.models.weights.lstm`."""

from __future__ import annotations

from functools import partial

from hanmo.models.bilstm import BiLSTMConfig, bilstm, bilstm_encoder
from hanmo.models.family import Architecture, Family
from hanmo.models.weights.lstm import layer_rules
from hanmo.models.weights.mapping import Rule
from hanmo.models.weights.word_encoder import canonical, embedding_rules, head_names, word_encoder_keys

__all__ = ["FAMILY", "KEYS", "encoder_rules"]

KEYS = word_encoder_keys(recurrent_size="d_hidden", num_hidden_layers="n_layers", label_scheme="scheme")


def encoder_rules(config: BiLSTMConfig) -> list[Rule]:
    """The encoder."""
    return [
        *embedding_rules(config),
        *layer_rules("layers.rightward", "encoder.rightward", config.n_layers),
        *layer_rules("layers.leftward", "encoder.leftward", config.n_layers),
    ]


def _with_head(name: str, *, crf: bool = False) -> Architecture:
    return head_names(partial(bilstm, architecture=name), encoder_rules, crf=crf)


FAMILY = Family(
    model_type="hanmo-bilstm",
    config=BiLSTMConfig,
    architectures={
        "BiLSTMModel": Architecture(build=bilstm_encoder, rules=encoder_rules),
        "BiLSTMForSequenceClassification": _with_head("BiLSTMForSequenceClassification"),
        "BiLSTMForTokenClassification": _with_head("BiLSTMForTokenClassification"),
        "BiLSTMForQuestionAnswering": _with_head("BiLSTMForQuestionAnswering"),
        "BiLSTMCrfForTokenClassification": _with_head("BiLSTMCrfForTokenClassification", crf=True),
    },
    keys=KEYS,
    canonical=canonical,
)
