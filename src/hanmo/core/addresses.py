"""Addresses as pointers, for functions that numba compiles and that are given numbers alone (`core.team`)."""

from __future__ import annotations

from typing import Any

import numba.extending
from numba import types

__all__ = ["pointer_to"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic


@intrinsic
def pointer_to(typing_context: Any, address: Any) -> Any:
    """For `numba.carray`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), build
