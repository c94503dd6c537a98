"""Asking memory for an element before it is needed."""

from __future__ import annotations

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

from hanmo.core.llvm import prefetch_line

__all__ = ["prefetch"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic


@intrinsic
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Fetch the cache line of `array[index]` (C order, whole rows) while the program goes on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        view = context.make_array(kind)(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, view.strides, kind.ndim)[0]
        byte = ir.IntType(8).as_pointer()
        place = builder.gep(builder.bitcast(view.data, byte), [builder.mul(arguments[1], stride)])
        prefetch_line(builder, place, ir.IntType(64)(0))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
