"""Pieces of LLVM code that the intrinsics of several folders are built from.

`builder` is an `llvmlite.ir.IRBuilder`; pointers are to the element type, indices are int64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = [
    "constant", "data", "external", "falling_exp2", "fma", "function", "load", "loop", "prefetch_line", "shuffle",
    "splat", "store",
]  # fmt: skip

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


def function(module: Any, name: str, arguments: Sequence[Any]) -> tuple[Any, Any | None]:
    """The function of this name, and a builder of its body where that is still to be written. Not inlined: compiled once."""
    one = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    if one.blocks:
        return one, None
    one.linkage = "internal"
    one.attributes.add("noinline")
    return one, ir.IRBuilder(one.append_basic_block())


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Where the elements of an array begin."""
    return context.make_array(kind)(context, builder, array).data


def constant(kind: Any, value: float) -> Any:
    """A vector of one number that is known."""
    return ir.Constant(kind, [value] * kind.count)


def load(builder: Any, pointer: Any, index: Any, kind: Any, align: int = 4) -> Any:
    """A vector from pointer[index] on."""
    return builder.load(builder.bitcast(builder.gep(pointer, [index]), kind.as_pointer()), align=align)


def store(builder: Any, value: Any, pointer: Any, index: Any) -> None:
    """A vector to pointer[index] and what follows."""
    builder.store(value, builder.bitcast(builder.gep(pointer, [index]), value.type.as_pointer()), align=4)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, vectors of float32; rounded once where the processor can."""
    multiply_add = external(builder.module, f"llvm.fmuladd.v{a.type.count}f32", a.type, [a.type] * 3)
    return builder.call(multiply_add, (a, b, c))


def _exp2(builder: Any, x: Any) -> Any:
    """2**x for -126 <= x <= 126: its whole part goes into the exponent's bits, the rest through a Taylor series."""
    kind, ints = x.type, ir.VectorType(_I32, x.type.count)
    rounds = constant(kind, 1.5 * 2**23)  # what is added to it keeps no fraction, and stands in its last bits
    shifted = builder.fadd(x, rounds)
    r = builder.fsub(x, builder.fsub(shifted, rounds))  # |r| <= 1/2
    powers = [math.log(2) ** i / math.factorial(i) for i in range(7)]
    series = constant(kind, powers[6])
    for power in reversed(powers[:6]):
        series = fma(builder, series, r, constant(kind, power))
    whole = builder.shl(builder.bitcast(shifted, ints), ir.Constant(ints, [23] * kind.count))
    return builder.bitcast(builder.add(builder.bitcast(series, ints), whole), kind)


def falling_exp2(builder: Any, x: Any) -> Any:
    """2**x for what is at most 0, and exactly 0 far below."""
    least = constant(x.type, -126.0)
    unseen = builder.fcmp_ordered("<", x, least)  # not so for NaN, which stays
    return builder.select(unseen, constant(x.type, 0.0), _exp2(builder, builder.select(unseen, least, x)))


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
