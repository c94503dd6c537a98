"""GPT-3 (Brown et al., 2020, §2.1): GPT-2 with dense and locally banded sparse attention (Child et al., 2019) in
alternating layers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hanmo.models.causal_lm import CausalLM
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.nn.sparse import Dense, Pattern, SlidingWindow

__all__ = ["SIZES", "GPT3Config", "gpt3"]


class GPT3Config(GPT2Config):
    """Shape and constants of a GPT-3."""

    max_len: int = Field(2048, gt=0)
    """Longest text, in tokens: how many positions are learned."""
    attention: tuple[Pattern, ...] = (Dense(), SlidingWindow(window=256))
    """As in `PatternSettings`: dense and banded layers take turns. The paper does not say how wide its bands are."""


SIZES: dict[str, dict[str, Any]] = {
    "gpt3-small": {"n_layers": 12, "d_model": 768, "n_heads": 12},
    "gpt3-medium": {"n_layers": 24, "d_model": 1024, "n_heads": 16},
    "gpt3-large": {"n_layers": 24, "d_model": 1536, "n_heads": 16},
    # 24 heads of 128 in table 2.1, which are more than d_model
    "gpt3-xl": {"n_layers": 24, "d_model": 2048, "n_heads": 16},
    "gpt3-2.7b": {"n_layers": 32, "d_model": 2560, "n_heads": 32},
    "gpt3-6.7b": {"n_layers": 32, "d_model": 4096, "n_heads": 32},
    # d_model 5140 in table 2.1, which 40 heads of 128 do not fill
    "gpt3-13b": {"n_layers": 40, "d_model": 5120, "n_heads": 40},
    "gpt3-175b": {"n_layers": 96, "d_model": 12288, "n_heads": 96},
}


def gpt3(config: GPT3Config) -> CausalLM:
    """Assemble a GPT-3 with fresh weights. Where every layer is dense, it is a GPT-2, which other libraries know."""
    if config.is_dense:
        return gpt2(GPT2Config.model_validate(config.model_dump() | {"attention": ()}))
    return gpt2(config, architecture="HanmoGPT3LMHeadModel")
