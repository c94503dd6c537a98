"""The LSTM encoder and decoder under plain names; layers as in `hanmo.models.weights.lstm`."""

from __future__ import annotations

from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.lstm_seq2seq import LSTMSeq2SeqConfig, lstm_seq2seq
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.lstm import layer_rules
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "rules"]


def _fold(keys: dict[str, Any]) -> dict[str, Any]:
    return keys | {"is_encoder_decoder": True}


KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layers",
        "attention": "attention",
        "input_feeding": "input_feeding",
        "dropout": "dropout",
        "tie_word_embeddings": "tie_embeddings",
        "initializer_range": "init_std",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
        "decoder_start_token_id": "decoder_start_id",
    },
    fixed={"is_encoder_decoder": True},
    fold=_fold,
)


def rules(config: LSTMSeq2SeqConfig) -> list[Rule]:
    """Every parameter of the model and the tensor it is there."""
    n = config.n_layers
    table = [
        Rule("embedding.token.weight", ("embedding.weight",)),
        *layer_rules("encoder.rightward", "encoder.rightward", n),
        *layer_rules("encoder.leftward", "encoder.leftward", n),
        *layer_rules("decoder.layers.layers", "decoder.lstm", n),
    ]
    parts = {"additive": ("query", "source", "score"), "concat": ("query", "source", "score"), "general": ("source",)}
    names = [f"decoder.attention.{part}.weight" for part in parts.get(config.attention, ())]
    table += [Rule(name, (name,)) for name in names]
    for part in ("readout", "bridge"):
        table += [Rule(f"decoder.{part}.{kind}", (f"decoder.{part}.{kind}",)) for kind in ("weight", "bias")]
    if not config.tie_embeddings:
        table.append(Rule("target_embedding.token.weight", ("target_embedding.weight",)))
        table.append(Rule("head.weight", ("head.weight",)))
    return table


def _canonical(name: str) -> str:
    return name


FAMILY = Family(
    model_type="hanmo-lstm-seq2seq",
    config=LSTMSeq2SeqConfig,
    architectures={"LSTMForConditionalGeneration": Architecture(build=lstm_seq2seq, rules=rules, generates=True)},
    keys=KEYS,
    canonical=_canonical,
)
