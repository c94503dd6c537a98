"""What is made from a model's weights, and made again when they have changed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """Of each model what `make` made of it: called, it gives that, or makes it anew if a parameter has been replaced or
    written to since."""

    def __init__(self, make: Callable[[Any], T]):
        self._make = make
        self._held: weakref.WeakKeyDictionary[Any, tuple[list[Any], T]] = weakref.WeakKeyDictionary()

    def __call__(self, model: Any) -> T:
        held = self._held.get(model)
        if held is None or not _is_of(held[0], model):
            state = [(weakref.ref(one), one.data_ptr(), _version(one)) for one in model.parameters()]
            held = self._held[model] = state, self._make(model)
        return held[1]


def _is_of(state: list[Any], model: Any) -> bool:
    now = list(model.parameters())
    return len(now) == len(state) and all(
        known() is parameter and place == parameter.data_ptr() and version == _version(parameter)
        for (known, place, version), parameter in zip(state, now, strict=True)
    )


def _version(parameter: Tensor) -> int:
    return 0 if parameter.is_inference() else parameter._version
