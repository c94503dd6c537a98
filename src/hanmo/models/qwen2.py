"""Qwen2 and Qwen2.5, 通义千问 (Yang et al., 2024): a Llama with biases on queries, keys and values only."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hanmo.models.causal_lm import CausalLM
from hanmo.models.rotary_decoder import RotaryDecoderConfig, rotary_decoder

__all__ = ["SIZES", "Qwen2Config", "qwen2"]


class Qwen2Config(RotaryDecoderConfig):
    """Shape and constants of a Qwen2; windows of its upper layers are `SlidingWindow`s in `attention`."""

    vocab_size: int = Field(151936, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(32768, gt=0)
    """Longest text that it was trained for, in tokens."""


_COMMON: dict[str, Any] = {"rope_base": 1_000_000.0, "bos_id": 151643, "eos_id": 151643}

SIZES: dict[str, dict[str, Any]] = {
    "qwen2.5-0.5b": _COMMON
    | {"n_layers": 24, "d_model": 896, "n_heads": 14, "n_kv_heads": 2, "d_ff": 4864, "tie_embeddings": True},
    "qwen2.5-1.5b": _COMMON
    | {"n_layers": 28, "d_model": 1536, "n_heads": 12, "n_kv_heads": 2, "d_ff": 8960, "tie_embeddings": True},
    "qwen2.5-7b": _COMMON
    | {"vocab_size": 152064, "n_layers": 28, "d_model": 3584, "n_heads": 28, "n_kv_heads": 4, "d_ff": 18944},
}


def qwen2(config: Qwen2Config) -> CausalLM:
    """Assemble a Qwen2 with fresh weights."""
    return rotary_decoder(config, qkv_bias=True, architecture="Qwen2ForCausalLM")
