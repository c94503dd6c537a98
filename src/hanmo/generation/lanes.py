"""Matrix products written directly for the processor's vector units, for `kernels`.

Two forms, each one function of LLVM code: float32 weights on 8 or 16 positions side by side (one vector lane a
position), and uint8 weights on one position (dot products of bytes where the processor has them, else in float32).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba.extending
from llvmlite import ir
from numba import types

from hanmo.core.llvm import data, external, function, load, loop, prefetch_line, splat

__all__ = ["multiply_bytes", "multiply_float"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

_I64, _I32, _I8, _F32 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()


def _dot_bits() -> int:
    """Width of the vectors that the processor multiplies byte by byte (VNNI), in bits; 0 if it cannot."""
    features = llvm.get_host_cpu_features()
    return 512 if features.get("avx512vnni") else 256 if features.get("avxvnni") else 0


_DOT_BITS = _dot_bits()


def _rows(builder: Any, low: Any, high: Any, block: int, emit: Callable[[Any, int], None]) -> None:
    """Blocks of `block` rows from `low`, what remains before `high` row by row."""
    whole = builder.add(low, builder.and_(builder.sub(high, low), _I64(-block)))
    for start, stop, size in ((low, whole, block), (whole, high, 1)):

        def body(row: Any, carried: list[Any], size: int = size) -> list[Any]:
            emit(row, size)
            return carried

        loop(builder, start, stop, size, (), body)


def _float_function(module: Any, lanes: int) -> Any:
    pointer = _F32.as_pointer()
    arguments = [pointer, pointer, pointer, pointer, _I64, _I64, _I64, _I64]
    multiply, builder = function(module, f"hanmo_multiply_float_{lanes}", arguments)
    if builder is None:
        return multiply
    weights, bias, x, out, low, high, columns, add = multiply.args
    vector = ir.VectorType(_F32, lanes)
    fmuladd = external(module, f"llvm.fmuladd.v{lanes}f32", vector, [vector] * 3)
    adds = builder.icmp_signed("!=", add, _I64(0))
    zero = ir.Constant(vector, [0.0] * lanes)

    def emit(row: Any, block: int) -> None:
        rows = [builder.add(row, _I64(i)) for i in range(block)]
        lines = [builder.gep(weights, [builder.mul(r, columns)]) for r in rows]
        places = [builder.mul(r, _I64(lanes)) for r in rows]
        following = builder.gep(lines[-1], [columns])  # the next block of rows
        sums = []
        for r, place in zip(rows, places, strict=True):
            old = builder.select(adds, load(builder, out, place, vector, 4), zero)
            sums.append(builder.fadd(old, splat(builder, builder.load(builder.gep(bias, [r])), lanes)))

        def step(k: Any, sums: list[Any]) -> list[Any]:
            values = load(builder, x, builder.mul(k, _I64(lanes)), vector, 4)
            if block > 1:
                prefetch_line(builder, following, builder.mul(k, _I64(block)))
            factors = [splat(builder, builder.load(builder.gep(line, [k])), lanes) for line in lines]
            return [builder.call(fmuladd, (f, values, s)) for f, s in zip(factors, sums, strict=True)]

        for place, total in zip(places, loop(builder, _I64(0), columns, 1, sums, step), strict=True):
            builder.store(total, builder.bitcast(builder.gep(out, [place]), vector.as_pointer()), align=4)

    _rows(builder, low, high, 8, emit)
    builder.ret_void()
    return multiply


def _byte_function(module: Any) -> Any:
    bytes_, floats = _I8.as_pointer(), _F32.as_pointer()
    arguments = [bytes_, floats, floats, bytes_, bytes_, floats, floats, floats, _I64, _I64, _I64, _I64]
    multiply, builder = function(module, "hanmo_multiply_bytes", arguments)
    if builder is None:
        return multiply
    weights, scale, bias, coarse, fine, x, factors, out, low, high, columns, add = multiply.args
    adds = builder.icmp_signed("!=", add, _I64(0))
    unit, sum_coarse, sum_fine = (builder.load(builder.gep(factors, [_I64(i)])) for i in range(3))

    def finish(row: Any, value: Any) -> None:
        place = builder.gep(out, [row])
        value = builder.fmul(value, builder.load(builder.gep(scale, [row])))
        value = builder.fadd(value, builder.load(builder.gep(bias, [row])))
        old = builder.select(adds, builder.load(place), _F32(0.0))
        builder.store(builder.fadd(old, value), place)

    def lines(row: Any, block: int) -> list[Any]:
        return [builder.gep(weights, [builder.mul(builder.add(row, _I64(i)), columns)]) for i in range(block)]

    def emit_dot(row: Any, block: int) -> None:
        """w - 128 is the weight, (128 coarse + fine) unit the input: two byte products, exact in int32."""
        lanes = _DOT_BITS // 32
        vector = ir.VectorType(_I32, lanes)
        dot = external(module, f"llvm.x86.avx512.vpdpbusd.{_DOT_BITS}", vector, [vector] * 3)
        reduce = external(module, f"llvm.vector.reduce.add.v{lanes}i32", _I32, [vector])
        zero = ir.Constant(vector, [0] * lanes)
        rows = lines(row, block)
        following = builder.gep(rows[-1], [columns])

        def step(k: Any, sums: list[Any]) -> list[Any]:
            parts = [load(builder, part, k, vector, 1) for part in (coarse, fine)]
            matrix = [load(builder, line, k, vector, 1) for line in rows]
            for i in range(block if block > 1 else 0):
                prefetch_line(builder, following, builder.add(builder.mul(k, _I64(block)), _I64(i * _DOT_BITS // 8)))
            factors = [(line, part) for part in parts for line in matrix]
            return [builder.call(dot, (s, line, part)) for s, (line, part) in zip(sums, factors, strict=True)]

        sums = loop(builder, _I64(0), columns, _DOT_BITS // 8, [zero] * (2 * block), step)
        for i in range(block):
            values = []
            for total, offset in ((sums[i], sum_coarse), (sums[block + i], sum_fine)):
                exact = builder.sub(builder.call(reduce, (total,)), builder.fptosi(offset, _I32))
                values.append(builder.sitofp(exact, _F32))
            value = builder.fmul(builder.fadd(builder.fmul(values[0], _F32(128.0)), values[1]), unit)
            finish(builder.add(row, _I64(i)), value)

    def emit_float(row: Any, block: int) -> None:
        lanes = 16
        vector, small, wide = (ir.VectorType(kind, lanes) for kind in (_F32, _I8, _I32))
        fmuladd = external(module, f"llvm.fmuladd.v{lanes}f32", vector, [vector] * 3)
        reduce = external(module, f"llvm.vector.reduce.fadd.v{lanes}f32", _F32, [_F32, vector])
        middle = ir.Constant(wide, [128] * lanes)
        rows = lines(row, block)

        def step(k: Any, sums: list[Any]) -> list[Any]:
            values = load(builder, x, k, vector, 4)
            results = []
            for line, total in zip(rows, sums, strict=True):
                whole = builder.sub(builder.zext(load(builder, line, k, small, 1), wide), middle)
                results.append(builder.call(fmuladd, (builder.sitofp(whole, vector), values, total)))
            return results

        sums = loop(builder, _I64(0), columns, lanes, [ir.Constant(vector, [0.0] * lanes)] * block, step)
        for i, total in enumerate(sums):
            finish(builder.add(row, _I64(i)), builder.call(reduce, (_F32(0.0), total), fastmath=("reassoc",)))

    _rows(builder, low, high, 4, emit_dot if _DOT_BITS else emit_float)
    builder.ret_void()
    return multiply


@intrinsic
def multiply_float(
    typing_context: Any, w: Any, bias: Any, x: Any, out: Any, low: Any, high: Any, columns: Any, lanes: Any, add: Any
) -> Any:
    """out[low:high] (+)= w[low:high] @ x + bias; x (columns, lanes) and out (rows, lanes) flat, lanes 8 or 16.

    Each sum runs over the columns in order, one lane a position: neither the other lanes, nor the number of lanes,
    nor how rows are divided among threads changes a bit of it.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats = _F32.as_pointer()
        places = [data(context, builder, signature.args[i], arguments[i]) for i in range(4)]
        pointers = [builder.bitcast(place, floats) for place in places]
        numbers = [*arguments[4:7], arguments[8]]
        with builder.if_else(builder.icmp_signed("==", arguments[7], _I64(8))) as (eight, sixteen):
            with eight:
                builder.call(_float_function(builder.module, 8), [*pointers, *numbers])
            with sixteen:
                builder.call(_float_function(builder.module, 16), [*pointers, *numbers])
        return context.get_dummy_value()

    return types.void(w, bias, x, out, *[types.int64] * 5), build


@intrinsic
def multiply_bytes(
    typing_context: Any, w: Any, scale: Any, bias: Any, coarse: Any, fine: Any, x: Any, factors: Any, out: Any,
    low: Any, high: Any, columns: Any, add: Any,
) -> Any:  # fmt: skip
    """out[low:high] (+)= (w[low:high] - 128) @ x * scale + bias for one position.

    The input comes twice: `x` in float32, and as (128 coarse + fine) factors[0] in bytes, with factors[1] and
    factors[2] = 128 times the sums of `coarse` and `fine`. Which is used depends on the processor.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_, floats = _I8.as_pointer(), _F32.as_pointer()
        kinds = [bytes_, floats, floats, bytes_, bytes_, floats, floats, floats]
        places = [data(context, builder, signature.args[i], arguments[i]) for i in range(8)]
        pointers = [builder.bitcast(place, kind) for place, kind in zip(places, kinds, strict=True)]
        builder.call(_byte_function(builder.module), [*pointers, *arguments[8:]])
        return context.get_dummy_value()

    return types.void(w, scale, bias, coarse, fine, x, factors, out, *[types.int64] * 4), build
