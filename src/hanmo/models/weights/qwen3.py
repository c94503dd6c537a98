"""Qwen3 as `transformers` stores it: Llama's tensors, two norms more; windows by layer."""

from __future__ import annotations

from dataclasses import replace

from hanmo.models.family import Architecture, Family
from hanmo.models.qwen3 import Qwen3Config, qwen3
from hanmo.models.weights import qwen2
from hanmo.models.weights.decoder_heads import decoder_heads
from hanmo.models.weights.llama import canonical, decoder_rules
from hanmo.models.weights.mapping import Rule

__all__ = ["FAMILY", "KEYS", "rules"]

KEYS = replace(qwen2.KEYS, names={**qwen2.KEYS.names, "attention_bias": "attention_bias"})


def rules(config: Qwen3Config) -> list[Rule]:
    """Every parameter of the model and the tensors it is made of there."""
    return decoder_rules(config, qkv_bias=config.attention_bias, out_bias=config.attention_bias, qk_norm=True)


FAMILY = Family(
    model_type="qwen3",
    config=Qwen3Config,
    architectures={
        "Qwen3ForCausalLM": Architecture(build=qwen3, rules=rules, generates=True),
        **decoder_heads("Qwen3", qwen3, rules),
    },
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
)
