"""Matrix products of some rows and a look at their logits, written directly for the processor's vector units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba.extending
from llvmlite import ir
from numba import types

from hanmo.core.llvm import constant, data, external, falling_exp2, fma, function, load, loop, splat, store
from hanmo.nn.attention_frame import (
    BLOCK,
    DEEP,
    F32,
    FLOATS,
    I64,
    VECTOR,
    WIDTH,
    behind,
    least_of,
    over_columns,
    up_to_registers,
)
from hanmo.nn.attention_steps import product_function

__all__ = ["TILE", "attend", "look", "multiply_rows", "total"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

TILE = 10 * DEEP * WIDTH
"""Logits of a row that are computed before they are looked at: those of some rows stay in the cache."""
_INTS = I64.as_pointer()
_LEAST = -1e30


def _sum(builder: Any, vector: Any) -> Any:
    reduce = external(builder.module, f"llvm.vector.reduce.fadd.v{WIDTH}f32", F32, [F32, VECTOR])
    return builder.call(reduce, (F32(0.0), vector), fastmath=("reassoc",))


def _greatest(builder: Any, vector: Any) -> Any:
    reduce = external(builder.module, f"llvm.vector.reduce.fmax.v{WIDTH}f32", F32, [VECTOR])
    return builder.call(reduce, (vector,))


def _multiply_function(module: Any) -> Any:
    arguments = [FLOATS, I64, FLOATS, FLOATS, I64, I64, I64, I64]
    multiply, builder = function(module, "hanmo_beam_multiply", arguments)
    if builder is None:
        return multiply
    a, a_row, panels, out, out_row, n, columns, size = multiply.args
    apart = builder.mul(size, I64(WIDTH))

    def some(c: Any, deep: int) -> None:
        panel = behind(builder, panels, c, size)

        def block(r: Any, _: list[Any]) -> list[Any]:
            here = least_of(builder, builder.sub(n, r), I64(BLOCK))
            place = builder.gep(behind(builder, out, r, out_row), [c])
            known = (behind(builder, a, r, a_row), a_row, I64(1), panel, I64(WIDTH), apart, place, out_row)
            builder.call(product_function(module, deep, add=True), (*known, a, here, here, size))
            return []

        loop(builder, I64(0), n, BLOCK, [], block)

    over_columns(builder, columns, some)
    builder.ret_void()
    return multiply


def _look_function(module: Any) -> Any:
    look, builder = function(module, "hanmo_beam_look", [FLOATS, I64, F32, FLOATS, _INTS])
    if builder is None:
        return look
    row, columns, threshold, top, flags = look.args
    least, bits = splat(builder, threshold, WIDTH), ir.IntType(WIDTH)

    def some(c: Any, carried: list[Any]) -> list[Any]:
        most, count = carried
        value = load(builder, row, c, VECTOR)
        above = builder.bitcast(builder.fcmp_ordered(">", value, least), bits)
        count_after = builder.add(count, builder.zext(builder.icmp_unsigned("!=", above, bits(0)), I64))
        builder.store(c, builder.gep(flags, [builder.add(count, I64(1))]))  # stays if it is counted
        return [builder.select(builder.fcmp_ordered(">", value, most), value, most), count_after]

    most, count = loop(builder, I64(0), columns, WIDTH, [constant(VECTOR, _LEAST), I64(0)], some)
    builder.store(_greatest(builder, most), top)
    builder.store(count, flags)
    builder.ret_void()
    return look


def _total_function(module: Any) -> Any:
    total, builder = function(module, "hanmo_beam_total", [FLOATS, I64, F32, FLOATS])
    if builder is None:
        return total
    row, columns, top, out = total.args
    subtracted, scale = splat(builder, top, WIDTH), constant(VECTOR, 1 / math.log(2))

    def some(c: Any, sums: list[Any]) -> list[Any]:
        value = builder.fsub(load(builder, row, c, VECTOR), subtracted)
        return [builder.fadd(sums[0], falling_exp2(builder, builder.fmul(value, scale)))]

    [sums] = loop(builder, I64(0), columns, WIDTH, [constant(VECTOR, 0.0)], some)
    builder.store(_sum(builder, sums), out)
    builder.ret_void()
    return total


def _attend_function(module: Any) -> Any:
    arguments = [FLOATS, FLOATS, I64, _INTS, I64, I64, I64, F32, FLOATS, FLOATS]
    attend, builder = function(module, "hanmo_beam_attend", arguments)
    if builder is None:
        return attend
    query, rows, row_size, places, n, n_heads, size, scale, scores, out = attend.args
    values = builder.gep(rows, [builder.sdiv(row_size, I64(2))])
    powers = builder.fmul(scale, F32(1 / math.log(2)))  # powers of 2 instead of e
    whole, nothing = up_to_registers(builder, n), constant(VECTOR, 0.0)

    def some_head(h: Any, _: list[Any]) -> list[Any]:
        first = builder.mul(h, size)

        def dot(s: Any, _: list[Any]) -> list[Any]:
            key = builder.gep(behind(builder, rows, builder.load(builder.gep(places, [s])), row_size), [first])

            def some(c: Any, sums: list[Any]) -> list[Any]:
                own = load(builder, query, builder.add(first, c), VECTOR)
                return [fma(builder, own, load(builder, key, c, VECTOR), sums[0])]

            [sums] = loop(builder, I64(0), size, WIDTH, [nothing], some)
            builder.store(builder.fmul(_sum(builder, sums), powers), builder.gep(scores, [s]))
            return []

        loop(builder, I64(0), n, 1, [], dot)

        def unseen(s: Any, _: list[Any]) -> list[Any]:
            builder.store(F32(-math.inf), builder.gep(scores, [s]))
            return []

        loop(builder, n, whole, 1, [], unseen)

        def greater(s: Any, most: list[Any]) -> list[Any]:
            value = load(builder, scores, s, VECTOR)
            return [builder.select(builder.fcmp_ordered(">", value, most[0]), value, most[0])]

        [most] = loop(builder, I64(0), whole, WIDTH, [constant(VECTOR, _LEAST)], greater)
        top = splat(builder, _greatest(builder, most), WIDTH)

        def weigh(s: Any, sums: list[Any]) -> list[Any]:
            weight = falling_exp2(builder, builder.fsub(load(builder, scores, s, VECTOR), top))
            store(builder, weight, scores, s)
            return [builder.fadd(sums[0], weight)]

        [sums] = loop(builder, I64(0), whole, WIDTH, [nothing], weigh)
        all_ = _sum(builder, sums)
        blind = builder.fcmp_ordered("==", all_, F32(0.0))
        share = splat(builder, builder.select(blind, F32(0.0), builder.fdiv(F32(1.0), all_)), WIDTH)

        def mix(c: Any, _: list[Any]) -> list[Any]:
            place = builder.add(first, c)

            def some(s: Any, sums: list[Any]) -> list[Any]:
                value = behind(builder, values, builder.load(builder.gep(places, [s])), row_size)
                weight = splat(builder, builder.load(builder.gep(scores, [s])), WIDTH)
                return [fma(builder, weight, load(builder, value, place, VECTOR), sums[0])]

            [sums] = loop(builder, I64(0), n, 1, [nothing], some)
            store(builder, builder.fmul(sums, share), out, place)
            return []

        loop(builder, I64(0), size, WIDTH, [], mix)
        return []

    loop(builder, I64(0), n_heads, 1, [], some_head)
    builder.ret_void()
    return attend


def _call(function_of: Callable[[Any], Any], kinds: tuple[Any, ...]) -> Callable[..., Any]:
    """Builds a call where None stands for an array, of which the address of the first element is given."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        given = [
            data(context, builder, signature.args[i], argument) if kind is None else argument
            for i, (kind, argument) in enumerate(zip(kinds, arguments, strict=True))
        ]
        builder.call(function_of(builder.module), given)
        return context.get_dummy_value()

    return build


def _signature(kinds: tuple[Any, ...], given: tuple[Any, ...]) -> Any:
    return types.void(*[one if kind is None else kind for kind, one in zip(kinds, given, strict=True)])


_INT, _FLOAT = types.int64, types.float32
_MULTIPLY = (None, _INT, None, None, _INT, _INT, _INT, _INT)
_ATTEND = (None, None, _INT, None, _INT, _INT, _INT, _FLOAT, None, None)
_LOOK = (None, _INT, _FLOAT, None, None)
_TOTAL = (None, _INT, _FLOAT, None)


@intrinsic
def multiply_rows(
    typing_context: Any, a: Any, a_row: Any, panels: Any, out: Any, out_row: Any, n: Any, columns: Any, size: Any
) -> Any:
    """out[r] += W a[r] for n rows, `a_row` and `out_row` numbers apart; W (columns, size) in panels, columns up to whole ones.

    A sum runs over the inputs in order: its bits do not depend on the other rows.
    """
    return _signature(_MULTIPLY, (a, a_row, panels, out, out_row, n, columns, size)), _call(
        _multiply_function, _MULTIPLY
    )


@intrinsic
def attend(
    typing_context: Any, query: Any, rows: Any, row_size: Any, places: Any, n: Any, n_heads: Any, size: Any, scale: Any,
    scores: Any, out: Any,
) -> Any:  # fmt: skip
    """One position looks at n others, which are keys and then values of all heads: out = softmax(q kᵀ scale) v.

    They are the rows with the numbers `places`, each of `row_size` numbers; zeros where there are none. `size` is the width
    of a head, a multiple of WIDTH; `scores` has room for n up to whole registers.
    """
    given = (query, rows, row_size, places, n, n_heads, size, scale, scores, out)
    return _signature(_ATTEND, given), _call(_attend_function, _ATTEND)


@intrinsic
def look(typing_context: Any, row: Any, columns: Any, threshold: Any, top: Any, flags: Any) -> Any:
    """top[0]: the greatest of the first `columns` numbers, a multiple of WIDTH; flags[0]: how many registers of them hold one
    above the threshold; flags[1:]: where these begin. NaN is passed over.
    """
    return _signature(_LOOK, (row, columns, threshold, top, flags)), _call(_look_function, _LOOK)


@intrinsic
def total(typing_context: Any, row: Any, columns: Any, top: Any, out: Any) -> Any:
    """out[0] = Σ exp(row - top) over the first `columns` numbers, a multiple of WIDTH, none of them above `top`; NaN stays."""
    return _signature(_TOTAL, (row, columns, top, out)), _call(_total_function, _TOTAL)
