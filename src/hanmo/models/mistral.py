"""Mistral (Jiang et al., 2023): a Llama whose attention may slide a window over the text."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hanmo.models.causal_lm import CausalLM
from hanmo.models.rotary_decoder import RotaryDecoderConfig, rotary_decoder

__all__ = ["SIZES", "MistralConfig", "mistral"]


class MistralConfig(RotaryDecoderConfig):
    """Shape and constants of a Mistral; its window is one `SlidingWindow` in `attention`."""

    max_len: int = Field(131072, gt=0)
    """Longest text that it was trained for, in tokens."""


SIZES: dict[str, dict[str, Any]] = {
    "mistral-7b": {
        "n_layers": 32,
        "d_model": 4096,
        "n_heads": 32,
        "n_kv_heads": 8,
        "d_ff": 14336,
        "max_len": 32768,
        "norm_eps": 1e-5,
        "attention": ({"kind": "sliding_window", "window": 4096},),
        "bos_id": 1,
        "eos_id": 2,
    },
}


def mistral(config: MistralConfig) -> CausalLM:
    """Assemble a Mistral with fresh weights."""
    return rotary_decoder(config, architecture="MistralForCausalLM")
