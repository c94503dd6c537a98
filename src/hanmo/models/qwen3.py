"""Qwen3, 通义千问 (Yang et al., 2025): a Llama whose queries and keys are normalised, with heads of any width."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hanmo.models.causal_lm import CausalLM
from hanmo.models.rotary_decoder import RotaryDecoderConfig, rotary_decoder

__all__ = ["SIZES", "Qwen3Config", "qwen3"]


class Qwen3Config(RotaryDecoderConfig):
    """Shape and constants of a Qwen3; windows of its upper layers are `SlidingWindow`s in `attention`."""

    vocab_size: int = Field(151936, gt=0)
    """Tokens that the tokenizer knows."""
    max_len: int = Field(32768, gt=0)
    """Longest text that it was trained for, in tokens."""
    d_head: int = Field(128, gt=0)
    """Width of a head, even; it need not be d_model / n_heads."""
    attention_bias: bool = False
    """Biases in the four projections of attention."""


_COMMON: dict[str, Any] = {
    "rope_base": 1_000_000.0,
    "n_kv_heads": 8,
    "max_len": 40960,
    "bos_id": 151643,
    "eos_id": 151645,
}

SIZES: dict[str, dict[str, Any]] = {
    "qwen3-0.6b": _COMMON | {"n_layers": 28, "d_model": 1024, "n_heads": 16, "d_ff": 3072, "tie_embeddings": True},
    "qwen3-1.7b": _COMMON | {"n_layers": 28, "d_model": 2048, "n_heads": 16, "d_ff": 6144, "tie_embeddings": True},
    "qwen3-4b": _COMMON | {"n_layers": 36, "d_model": 2560, "n_heads": 32, "d_ff": 9728, "tie_embeddings": True},
    "qwen3-8b": _COMMON | {"n_layers": 36, "d_model": 4096, "n_heads": 32, "d_ff": 12288},
}


def qwen3(config: Qwen3Config) -> CausalLM:
    """Assemble a Qwen3 with fresh weights."""
    bias = config.attention_bias
    return rotary_decoder(config, qkv_bias=bias, out_bias=bias, qk_norm=True, architecture="Qwen3ForCausalLM")
