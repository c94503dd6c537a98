"""What threads of compiled functions tell each other by, for those that numba compiles."""

from __future__ import annotations

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types

from hanmo.core.llvm import data, external

__all__ = ["atomic_add", "atomic_load", "yield_processor"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

_I32 = ir.IntType(32)


@intrinsic
def atomic_add(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Add to array[index] (int64) in one step; returns what was there."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        return builder.atomic_rmw("add", place, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), build


@intrinsic
def atomic_load(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index] (int64) as the other threads left it."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(data(context, builder, signature.args[0], arguments[0]), [arguments[1]])
        return builder.load_atomic(place, "seq_cst", 8)

    return types.int64(array, types.int64), build


@intrinsic
def yield_processor(typing_context: Any) -> Any:
    """Let another thread run (POSIX)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.call(external(builder.module, "sched_yield", _I32, []), [])
        return context.get_dummy_value()

    return types.void(), build
