"""Scaled rotary frequencies against `transformers`, and what of them depends on the length."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.nn.positions import Rotary
from hanmo.nn.rope_scaling import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongScaling,
    RopeScaling,
    YarnScaling,
)

CPU = torch.device("cpu")
D_HEAD, MAX_LEN = 14, 64


def random_scaling(kind: str, rng: random.Random) -> Any:
    factor, original = rng.choice([1.0, 1.5, 8.0]), rng.choice([16, 40])
    match kind:
        case "linear":
            return LinearScaling(factor=factor)
        case "dynamic":
            return DynamicScaling(factor=factor, original_len=MAX_LEN)
        case "yarn":
            return YarnScaling(
                factor=factor,
                original_len=original,
                attention_factor=rng.choice([None, None, 0.8]),
                beta_fast=rng.choice([32.0, 4.0]),
                beta_slow=rng.choice([1.0, 0.5]),
                mscale=rng.choice([None, 0.7]),
                mscale_all_dim=rng.choice([None, 1.2]),
                truncate=rng.random() < 0.5,
            )
        case "llama3":
            low = rng.choice([0.5, 1.0])
            return Llama3Scaling(factor=factor, original_len=original, low_freq_factor=low, high_freq_factor=4 * low)
        case _:
            short, long = (tuple(rng.uniform(1, 4) for _ in range(D_HEAD // 2)) for _ in range(2))
            attention = rng.choice([None, 1.3])
            return LongScaling(
                short_factor=short, long_factor=long, original_len=original, factor=factor, attention_factor=attention
            )


def their_values(scaling: Any, base: float) -> dict[str, Any]:
    values = {key: value for key, value in scaling.model_dump().items() if value is not None}
    values |= {"rope_type": values.pop("kind"), "rope_theta": base}
    original = values.pop("original_len", None)
    if scaling.kind not in ("linear", "dynamic"):
        values["original_max_position_embeddings"] = original
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn", "llama3", "longrope"])
def test_frequencies_are_theirs(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    scaling, base = random_scaling(kind, rng), rng.choice([10_000.0, 300.0])
    config = transformers.LlamaConfig(
        hidden_size=2 * D_HEAD,
        num_attention_heads=2,
        max_position_embeddings=MAX_LEN,
        rope_parameters=their_values(scaling, base),
    )
    for length in (5, MAX_LEN, MAX_LEN + 1, 200):
        expected, factor = ROPE_INIT_FUNCTIONS[kind](config, CPU, seq_len=torch.tensor(length))
        assert scaling.attention_scale == pytest.approx(factor, rel=1e-7)
        for given in (length, torch.tensor(length)):
            found = scaling.frequencies(D_HEAD, base, given, CPU)
            torch.testing.assert_close(found, expected, rtol=2e-6, atol=0)


def test_angles_scale_with_the_attention_factor_and_the_positions() -> None:
    rotary = Rotary(8, 10_000.0, YarnScaling(factor=4.0, original_len=16, attention_factor=0.5))
    rotation = rotary(None, 9, 0, CPU)
    torch.testing.assert_close(rotation.cos.square() + rotation.sin.square(), torch.full((1, 9, 4), 0.25))
    linear, plain = Rotary(8, 100.0, LinearScaling(factor=2.0)), Rotary(8, 100.0)
    torch.testing.assert_close(linear(None, 9, 0, CPU).sin[:, ::2], plain(None, 5, 0, CPU).sin)


@pytest.mark.parametrize(
    "scaling",
    [
        DynamicScaling(factor=3.0, original_len=10),
        LongScaling(short_factor=(1.0,) * 4, long_factor=(2.0,) * 4, original_len=10, factor=2.0),
    ],
)
def test_only_the_length_of_the_text_decides(scaling: RopeScaling) -> None:
    """A prompt at once, its last token alone, and the same positions given by hand turn alike."""
    rotary = Rotary(8, 10_000.0, scaling)
    for length in (7, 10, 11, 25):
        whole = rotary(None, length, 0, CPU)
        last = rotary(None, 1, length - 1, CPU)
        given = rotary(torch.arange(length).expand(2, -1), length, 0, CPU)
        assert torch.equal(whole.cos[:, -1:], last.cos)
        torch.testing.assert_close(given.cos, whole.cos.expand(2, -1, -1), atol=1e-6, rtol=0)
        # past the length of training the same position is turned otherwise
        assert torch.allclose(rotary(None, 7, 0, CPU).sin, whole.sin[:, :7], atol=1e-6) == (length <= 10)
    assert rotary.fixed_up_to(10)
    assert not rotary.fixed_up_to(11)
    assert Rotary(8, 10_000.0, LinearScaling(factor=2.0)).fixed_up_to(10**9)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Rotary(7), "even d_head"),
        (lambda: Rotary(2, 10.0, DynamicScaling(factor=2.0, original_len=8)), "d_head of at least 4"),
        (lambda: Rotary(4, 1.0, YarnScaling(factor=2.0, original_len=8)), "base above 1"),
        (
            lambda: Rotary(
                4, 10.0, LongScaling(short_factor=(1.0,), long_factor=(1.0, 1.0), original_len=8, factor=2.0)
            ),
            "1 factors in short_factor for 2 pairs",
        ),
        (lambda: check_settings(LinearScaling, {"factor": 0}), "factor"),
        (
            lambda: check_settings(
                Llama3Scaling, {"factor": 2, "original_len": 8, "low_freq_factor": 4, "high_freq_factor": 1}
            ),
            "not above low_freq_factor",
        ),
    ],
)
def test_impossible_scalings_are_named(build: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        build()
