"""One seed fixes every global generator."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from hanmo.core.errors import ConfigError
from hanmo.core.seeds import seed_everything


def _draw(seed: int) -> tuple[float, float, float]:
    seed_everything(seed)
    return random.random(), float(np.random.random()), float(torch.rand(1, dtype=torch.float64))


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 1, 2**64 - 1])
def test_same_seed_same_numbers(seed: int) -> None:
    assert _draw(seed) == _draw(seed)


def test_other_seed_other_numbers() -> None:
    assert all(one != other for one, other in zip(_draw(1), _draw(2), strict=True))


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
def test_impossible_seeds(seed: int) -> None:
    with pytest.raises(ConfigError, match="a seed is between"):
        seed_everything(seed)
