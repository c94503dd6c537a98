"""GPT-3 under a name of ours, since `transformers` has none: tensors and keys of GPT-2, and the patterns of its layers."""

from __future__ import annotations

from hanmo.models.family import Architecture, Family
from hanmo.models.gpt3 import GPT3Config, gpt3
from hanmo.models.weights.gpt2 import KEYS, canonical, rules

__all__ = ["FAMILY"]

FAMILY = Family(
    model_type="hanmo-gpt3",
    config=GPT3Config,
    architectures={"HanmoGPT3LMHeadModel": Architecture(build=gpt3, rules=rules, generates=True)},
    keys=KEYS,
    canonical=canonical,
    copies={"lm_head.weight": "transformer.wte.weight"},
)
