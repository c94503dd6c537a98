"""Decoding with windows, scaled positions and normalised queries: the same tokens by every road."""

from __future__ import annotations

from typing import Any

import pytest
from tests.generation.models import greedy_without_cache, small_gpt2, small_llama, wild
from tests.generation.test_decoding import prompts_of, rows_of

from hanmo.generation import GenerationSettings, decode
from hanmo.generation.packing import refusal
from hanmo.models.causal_lm import CausalLM
from hanmo.models.gpt3 import GPT3Config, gpt3
from hanmo.models.mistral import MistralConfig, mistral
from hanmo.models.qwen2 import Qwen2Config, qwen2
from hanmo.models.qwen3 import Qwen3Config, qwen3

SHAPE: dict[str, Any] = {"vocab_size": 61, "max_len": 64, "d_model": 48, "n_layers": 2, "n_heads": 6, "d_ff": 76}
ROTARY = SHAPE | {"n_kv_heads": 3, "d_head": 10}
SCALINGS: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "factor": 3.0},
    "dynamic": {"kind": "dynamic", "factor": 3.0, "original_len": 64},
    "yarn": {"kind": "yarn", "factor": 4.0, "original_len": 16},
    "llama3": {
        "kind": "llama3", "factor": 4.0, "original_len": 16, "low_freq_factor": 1.0, "high_freq_factor": 4.0
    },
    "longrope": {
        "kind": "longrope", "short_factor": (1.0,) * 5, "long_factor": (2.0,) * 5, "original_len": 64, "factor": 2.0
    },
}  # fmt: skip


def window(width: int) -> dict[str, Any]:
    return {"kind": "sliding_window", "window": width}


SPARSE = {
    "gpt2 global": lambda: small_gpt2(attention=({"kind": "local_global", "window": 3, "n_global": 2},)),
    "gpt3": lambda: wild(gpt3(GPT3Config.model_validate(SHAPE | {"attention": ({"kind": "dense"}, window(4))})), 0),
    "llama strided": lambda: small_llama(attention=({"kind": "block_sparse", "block_size": 3, "offsets": (0, 1, 3)},)),
    "mistral": lambda: wild(mistral(MistralConfig.model_validate(ROTARY | {"attention": (window(5),)})), 0),
    "qwen2": lambda: wild(qwen2(Qwen2Config.model_validate(ROTARY | {"attention": ({"kind": "dense"}, window(1))})), 0),
}


@pytest.mark.parametrize("name", list(SPARSE))
def test_a_row_is_the_same_alone_in_a_batch_and_without_a_cache(name: str) -> None:
    model: CausalLM = SPARSE[name]()
    assert refusal(model) == "a layer has sparse attention"
    prompts = prompts_of(61, (3, 17, 1, 30))
    settings = GenerationSettings(max_new_tokens=33)
    together = decode(model, prompts, settings)
    assert not together.fast
    rows = rows_of(together)
    for prompt, row in zip(prompts, rows, strict=True):
        assert row == rows_of(decode(model, [prompt], settings))[0]
        assert row == greedy_without_cache(model, prompt, len(row))


@pytest.mark.parametrize("name", list(SCALINGS))
def test_compiled_kernels_know_scaled_positions(name: str) -> None:
    model, plain = small_llama(rope_scaling=SCALINGS[name]), small_llama()
    assert refusal(model) is None
    prompt = prompts_of(61, (9,))[0]
    settings = GenerationSettings(max_new_tokens=55)
    fast = decode(model, [prompt], settings)
    assert fast.fast
    row = rows_of(fast)[0]
    assert row == greedy_without_cache(model, prompt, 55)
    if name not in ("dynamic", "longrope"):  # those two change nothing before 64 tokens
        assert row != greedy_without_cache(plain, prompt, 55)


def test_frequencies_that_change_on_the_way_are_left_to_the_plain_road() -> None:
    model = small_llama(rope_scaling=SCALINGS["longrope"] | {"original_len": 20, "long_factor": (3.0,) * 5})
    assert refusal(model) == "its rotary frequencies change with the length of the text"
    decoding = decode(model, prompts_of(61, (9,)), GenerationSettings(max_new_tokens=40))
    assert not decoding.fast
    assert len(rows_of(decoding)[0]) == 40


def test_biases_are_known_to_the_kernels_and_normalised_queries_are_not() -> None:
    biased = wild(qwen2(Qwen2Config.model_validate(ROTARY)), 0)
    normalised = wild(qwen3(Qwen3Config.model_validate(ROTARY)), 0)
    assert refusal(biased) is None
    assert refusal(normalised) == "its queries and keys are normalised"
    prompts = prompts_of(61, (9, 4))
    settings = GenerationSettings(max_new_tokens=40)
    for model, is_fast in ((biased, True), (normalised, False)):
        decoding = decode(model, prompts, settings)
        assert decoding.fast == is_fast
        assert rows_of(decoding) == [greedy_without_cache(model, prompt, 40) for prompt in prompts]
