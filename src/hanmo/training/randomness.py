"""The state of every global random generator, as tensors and plain values."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["RandomState", "undisturbed"]


@dataclass(frozen=True)
class RandomState:
    """Where the generators of Python, numpy and torch (all devices in use) stand."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    """Plain JSON values."""

    @classmethod
    def capture(cls) -> RandomState:
        """Take the state of all global generators."""
        version, words, gauss = random.getstate()
        name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
        tensors = {
            "python": torch.tensor(words, dtype=torch.int64),
            "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
            "torch": torch.get_rng_state(),
        }
        if torch.cuda.is_initialized():
            tensors |= {f"cuda:{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
        if torch.backends.mps.is_available():
            tensors["mps"] = torch.mps.get_rng_state()
        values = {
            "python": {"version": version, "gauss": gauss},
            "numpy": {"name": name, "position": int(position), "has_gauss": int(has_gauss), "cached": float(cached)},
        }
        return cls(tensors, values)

    def restore(self) -> None:
        """Put all global generators where they were; a device that is not in use here is left out."""
        python, numpy = self.values["python"], self.values["numpy"]
        random.setstate((python["version"], tuple(self.tensors["python"].tolist()), python["gauss"]))
        keys = self.tensors["numpy"].numpy().astype(np.uint32)
        np.random.set_state((numpy["name"], keys, numpy["position"], numpy["has_gauss"], numpy["cached"]))
        torch.set_rng_state(self.tensors["torch"])
        if torch.cuda.is_initialized():
            for i in range(torch.cuda.device_count()):
                if f"cuda:{i}" in self.tensors:
                    torch.cuda.set_rng_state(self.tensors[f"cuda:{i}"], i)
        if "mps" in self.tensors and torch.backends.mps.is_available():
            torch.mps.set_rng_state(self.tensors["mps"])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever the block draws, the generators afterwards stand where they stood before."""
    state = RandomState.capture()
    try:
        yield
    finally:
        state.restore()
