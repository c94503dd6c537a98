"""Llama (Touvron et al., 2023): rotary positions, RMSNorm before each sublayer, SwiGLU, grouped key/value heads."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from hanmo.models.causal_lm import CausalLM
from hanmo.models.checks import check_heads
from hanmo.models.rotary_decoder import RotaryDecoderConfig, rotary_decoder

__all__ = ["SIZES", "LlamaConfig", "llama"]


class LlamaConfig(RotaryDecoderConfig):
    """Shape and constants of a Llama."""

    attention_bias: bool = False
    """Biases in the four projections of attention."""
    mlp_bias: bool = False
    """Biases in the feed-forward layer."""

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        check_heads(self.d_model, self.n_heads, self.n_kv_heads)
        return self


_LLAMA_3: dict[str, Any] = {
    "vocab_size": 128256,
    "n_kv_heads": 8,
    "norm_eps": 1e-5,
    "rope_base": 500_000.0,
    "bos_id": 128000,
    "eos_id": 128001,
}


def _llama3_scaling(factor: float) -> dict[str, Any]:
    return {
        "kind": "llama3", "factor": factor, "original_len": 8192, "low_freq_factor": 1.0, "high_freq_factor": 4.0
    }  # fmt: skip


SIZES: dict[str, dict[str, Any]] = {
    "llama-2-7b": {"n_layers": 32, "d_model": 4096, "n_heads": 32, "d_ff": 11008, "max_len": 4096, "norm_eps": 1e-5},
    "llama-2-13b": {"n_layers": 40, "d_model": 5120, "n_heads": 40, "d_ff": 13824, "max_len": 4096, "norm_eps": 1e-5},
    "llama-3-8b": _LLAMA_3 | {"n_layers": 32, "d_model": 4096, "n_heads": 32, "d_ff": 14336, "max_len": 8192},
    "llama-3.1-8b": _LLAMA_3
    | {
        "n_layers": 32,
        "d_model": 4096,
        "n_heads": 32,
        "d_ff": 14336,
        "max_len": 131072,
        "rope_scaling": _llama3_scaling(8.0),
    },
    "llama-3.2-1b": _LLAMA_3
    | {
        "n_layers": 16,
        "d_model": 2048,
        "n_heads": 32,
        "d_ff": 8192,
        "max_len": 131072,
        "rope_scaling": _llama3_scaling(32.0),
        "tie_embeddings": True,
    },
}


def llama(config: LlamaConfig) -> CausalLM:
    """Assemble a Llama with fresh weights."""
    bias = config.attention_bias
    return rotary_decoder(
        config, qkv_bias=bias, out_bias=bias, mlp_bias=config.mlp_bias, architecture="LlamaForCausalLM"
    )
