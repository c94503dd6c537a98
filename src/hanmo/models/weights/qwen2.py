"""Qwen2 as `transformers` stores it: Llama's tensors, three biases more; windows by layer."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from hanmo.models.family import Architecture, Family
from hanmo.models.qwen2 import Qwen2Config, qwen2
from hanmo.models.weights import llama
from hanmo.models.weights.decoder_heads import HEAD_DEFAULTS, decoder_heads
from hanmo.models.weights.llama import canonical, count_key_heads, decoder_rules
from hanmo.models.weights.pattern_keys import fold_layer_windows, unfold_layer_windows
from hanmo.models.weights.rope_keys import fold_rope, unfold_rope

__all__ = ["FAMILY", "KEYS"]

_unfold_rope = unfold_rope(32768)


def _unfold(values: dict[str, Any]) -> dict[str, Any]:
    return unfold_layer_windows(_unfold_rope(count_key_heads(values)))


def _fold(values: dict[str, Any]) -> dict[str, Any]:
    return fold_layer_windows(fold_rope(values))


KEYS = replace(
    llama.KEYS,
    names={key: name for key, name in llama.KEYS.names.items() if name not in ("attention_bias", "mlp_bias")},
    defaults={"vocab_size": 151936, "d_ff": 22016, "n_kv_heads": 32, **HEAD_DEFAULTS},
    fixed={**llama.KEYS.fixed, "use_mrope": False},
    unfold=_unfold,
    fold=_fold,
)

_rules = partial(decoder_rules, qkv_bias=True)

FAMILY = Family(
    model_type="qwen2",
    config=Qwen2Config,
    architectures={
        "Qwen2ForCausalLM": Architecture(build=qwen2, rules=_rules, generates=True),
        **decoder_heads("Qwen2", qwen2, _rules),
    },
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "model.embed_tokens.weight"},
)
