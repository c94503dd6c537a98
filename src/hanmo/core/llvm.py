"""Pieces of LLVM code that the intrinsics of several folders are built from.

`builder` is an `llvmlite.ir.IRBuilder`; pointers are to the element type, indices are int64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = ["external", "load", "loop", "prefetch_line", "shuffle", "splat"]

_I64, _I32, _I8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)


def loop(
    builder: Any,
    start: Any,
    stop: Any,
    step: int,
    carried: Sequence[Any],
    body: Callable[[Any, list[Any]], Sequence[Any]],
) -> list[Any]:
    """`for i in range(start, stop, step): carried = body(i, carried)`; returns the last `carried`."""
    before = builder.block
    head, inside, after = (builder.function.append_basic_block(name) for name in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(_I64)
    values = [builder.phi(value.type) for value in carried]
    index.add_incoming(start, before)
    for phi, value in zip(values, carried, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), inside, after)
    builder.position_at_end(inside)
    results = body(index, values)
    index.add_incoming(builder.add(index, _I64(step)), builder.block)
    for phi, value in zip(values, results, strict=True):
        phi.add_incoming(value, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def external(module: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A function that LLVM or the C library has."""
    return cgutils.get_or_insert_function(module, ir.FunctionType(result, arguments), name)


def load(builder: Any, pointer: Any, index: Any, kind: Any, align: int = 4) -> Any:
    """A vector from pointer[index] on."""
    return builder.load(builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer()), align=align)


def shuffle(builder: Any, a: Any, b: Any, lanes: Sequence[int]) -> Any:
    """A vector of these lanes of two vectors."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes)))


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one number."""
    nothing = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    return shuffle(builder, builder.insert_element(nothing, value, _I32(0)), nothing, [0] * lanes)


def prefetch_line(builder: Any, pointer: Any, index: Any) -> None:
    """Ask memory for the cache line of pointer[index] while the program goes on."""
    to_bytes = _I8.as_pointer()
    prefetch = external(builder.module, "llvm.prefetch.p0", ir.VoidType(), [to_bytes, _I32, _I32, _I32])
    place = builder.bitcast(builder.gep(pointer, [index]), to_bytes)
    builder.call(prefetch, (place, _I32(0), _I32(3), _I32(1)))  # to read, keep it, data
