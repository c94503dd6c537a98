"""Mistral as `transformers` stores it: Llama's tensors; a key for the window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.mistral import MistralConfig, mistral
from hanmo.models.weights import llama
from hanmo.models.weights.decoder_heads import HEAD_DEFAULTS, decoder_heads
from hanmo.models.weights.llama import canonical, count_key_heads, decoder_rules
from hanmo.models.weights.pattern_keys import fold_window, unfold_window
from hanmo.models.weights.rope_keys import fold_rope, unfold_rope

__all__ = ["FAMILY", "KEYS"]

_unfold_rope = unfold_rope(131072)


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    return unfold_window(_unfold_rope(count_key_heads(values)))


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    return fold_window(fold_rope(values))


KEYS = replace(
    llama.KEYS,
    names={key: name for key, name in llama.KEYS.names.items() if name not in ("attention_bias", "mlp_bias")},
    defaults={"d_ff": 14336, "n_kv_heads": 8, "bos_id": 1, "eos_id": 2, **HEAD_DEFAULTS},
    unfold=_unfold,
    fold=_fold,
)

FAMILY = Family(
    model_type="mistral",
    config=MistralConfig,
    architectures={
        "MistralForCausalLM": Architecture(build=mistral, rules=decoder_rules, generates=True),
        **decoder_heads("Mistral", mistral, decoder_rules),
    },
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
)
