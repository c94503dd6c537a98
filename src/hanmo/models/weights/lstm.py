"""The LSTM language model under plain names. Gates lie one below the other: input, forget, candidate, output, so that a
layer loads into `torch.nn.LSTM` with a second bias of zeros."""

from __future__ import annotations

from hanmo.models.family import Architecture, Family
from hanmo.models.lstm import LSTMConfig, lstm
from hanmo.models.weights.config_keys import ConfigKeys
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "layer_rules", "rules"]

KEYS = ConfigKeys(
    names={
        "vocab_size": "vocab_size",
        "max_position_embeddings": "max_len",
        "hidden_size": "d_model",
        "recurrent_size": "d_hidden",
        "num_hidden_layers": "n_layers",
        "dropout": "dropout",
        "weight_dropout": "dropout_weights",
        "tie_word_embeddings": "tie_embeddings",
        "initializer_range": "init_std",
        "bos_token_id": "bos_id",
        "eos_token_id": "eos_id",
        "pad_token_id": "pad_id",
    }
)


def layer_rules(ours: str, theirs: str, n_layers: int) -> list[Rule]:
    """Layers in one direction."""
    kinds = {"input.weight": "weight_ih", "hidden.weight": "weight_hh", "input.bias": "bias"}
    return [
        Rule(f"{ours}.{i}.{here}", (f"{theirs}.{i}.{there}",)) for i in range(n_layers) for here, there in kinds.items()
    ]


def rules(config: LSTMConfig) -> list[Rule]:
    """Every parameter of the model and the tensor it is there."""
    table = [
        Rule("embedding.token.weight", ("embedding.weight",)),
        *layer_rules("layers.layers", "lstm", config.n_layers),
    ]
    if not config.tie_embeddings:
        table.append(Rule("head.weight", ("head.weight",)))
    return table


def _canonical(name: str) -> str:
    return name


FAMILY = Family(
    model_type="hanmo-lstm",
    config=LSTMConfig,
    architectures={"LSTMForCausalLM": Architecture(build=lstm, rules=rules, generates=True)},
    keys=KEYS,
    canonical=_canonical,
)
