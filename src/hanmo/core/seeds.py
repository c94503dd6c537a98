"""One seed for every source of randomness."""

from __future__ import annotations

import random

from hanmo.core.errors import ConfigError

__all__ = ["seed_everything"]


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators (all devices).

    Raises:
        ConfigError: for a seed that torch cannot take.
    """
    if not 0 <= seed < 2**64:
        raise ConfigError(f"a seed is between 0 and 2**64 - 1, got {seed}", where="seed")
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
