"""The inner products and updates of word2vec, written directly for the processor's vector units.

A position of the text is n inputs (rows of x) against m outputs (rows of y), a small matrix product. It stays in
registers from end to end: the compiler, left alone, stores each partial row and sums lanes one by one, which takes
three times as long. `step` in `word2vec_plain` is the same in numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numba.extending
from llvmlite import ir
from numba import types

from hanmo.core.llvm import constant, data, external, fma, function, load, loop, prefetch_line, shuffle, splat, store
from hanmo.vectors.learning import LINE

__all__ = ["GROUP", "LANES", "gather_mean", "measure", "prefetch_row", "scatter_change", "update"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

LANES = LINE
"""Rows are padded to a multiple of it."""
GROUP = 8
"""Outputs that are held in registers at once."""

_I64, _I32, _I8, _F32 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()
_FLOATS, _INTS = _F32.as_pointer(), _I32.as_pointer()
_WIDTH = 16 if llvm.get_host_cpu_features().get("avx512f") else 8
"""Lanes of a register, or of two of them where they are short."""
_LINE = ir.VectorType(_F32, _WIDTH)
_SUMS = ir.VectorType(_F32, GROUP)


def _load(builder: Any, floats: Any, index: Any, kind: Any = _LINE) -> Any:
    return load(builder, floats, index, kind)


def _row(builder: Any, matrix: Any, numbers: Any, index: Any, dim: Any) -> Any:
    number = builder.sext(builder.load(builder.gep(numbers, [index])), _I64)
    return builder.gep(matrix, [builder.mul(number, dim)])


def _sums(builder: Any, lines: list[Any]) -> Any:
    """The sum of the lanes of each of 8 vectors, in one vector: halves of all are added in pairs, as in a tree."""
    width = _WIDTH  # lanes that are left of each sum
    while width > 1:
        half = width // 2
        lanes = range(0, _WIDTH if len(lines) == 1 else 2 * _WIDTH, width)
        first = [lane + i for lane in lanes for i in range(half)]
        second = [lane + half + i for lane in lanes for i in range(half)]
        pairs = [(lines[0], lines[0])] if len(lines) == 1 else list(zip(lines[::2], lines[1::2], strict=True))
        lines = [builder.fadd(shuffle(builder, a, b, first), shuffle(builder, a, b, second)) for a, b in pairs]
        width = half
    return lines[0]


def _sigmoid(builder: Any, z: Any) -> Any:
    """1 / (1 + e**-z): 2**n by its bits times a Taylor series on |r| <= ln(2)/2, relative error below 1e-6."""
    kind, ints = z.type, ir.VectorType(_I32, z.type.count)
    minimum, maximum = (
        external(builder.module, f"llvm.{name}.v{kind.count}f32", kind, [kind, kind]) for name in ("minnum", "maxnum")
    )
    floor = external(builder.module, f"llvm.floor.v{kind.count}f32", kind, [kind])
    x = builder.call(maximum, (builder.fsub(constant(kind, 0.0), z), constant(kind, -80.0)))
    x = builder.call(minimum, (x, constant(kind, 80.0)))
    n = builder.call(floor, (fma(builder, x, constant(kind, 1.4426950408889634), constant(kind, 0.5)),))
    r = fma(builder, n, constant(kind, -0.693359375), x)  # ln(2) in two parts, so that the first product is exact
    r = fma(builder, n, constant(kind, 2.12194440e-4), r)
    series = constant(kind, 1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
        series = fma(builder, series, r, constant(kind, coefficient))
    bits = builder.add(builder.fptosi(n, ints), ir.Constant(ints, [127] * kind.count))
    power = builder.bitcast(builder.shl(bits, ir.Constant(ints, [23] * kind.count)), kind)
    return builder.fdiv(constant(kind, 1.0), fma(builder, series, power, constant(kind, 1.0)))


def _measure_function(module: Any, n: int) -> Any:
    arguments = [_FLOATS, _INTS, _I64, _FLOATS, _INTS, _FLOATS, _FLOATS, _FLOATS, _I64]
    one, builder = function(module, f"hanmo_measure_{n}", arguments)
    if builder is None:
        return one
    x, inputs, n_inputs, y, outputs, labels, rates, errors, dim = one.args
    rows = [_row(builder, y, outputs, _I64(k), dim) for k in range(n)]
    zero = constant(_LINE, 0.0)

    def one_input(c: Any, _: list[Any]) -> list[Any]:
        row = _row(builder, x, inputs, c, dim)

        def add(d: Any, sums: list[Any]) -> list[Any]:
            line = _load(builder, row, d)
            return [fma(builder, line, _load(builder, own, d), old) for own, old in zip(rows, sums, strict=True)]

        sums = loop(builder, _I64(0), dim, _WIDTH, [zero] * n, add)
        z = _sums(builder, sums + [zero] * (GROUP - n))
        error = builder.fsub(_load(builder, labels, _I64(0), _SUMS), _sigmoid(builder, z))
        error = builder.fmul(error, _load(builder, rates, _I64(0), _SUMS))
        store(builder, error, errors, builder.mul(c, _I64(GROUP)))
        return []

    loop(builder, _I64(0), n_inputs, 1, [], one_input)
    builder.ret_void()
    return one


def _update_function(module: Any, n: int) -> Any:
    one, builder = function(module, f"hanmo_update_{n}", [_FLOATS, _INTS, _I64, _FLOATS, _INTS, _FLOATS, _I64])
    if builder is None:
        return one
    x, inputs, n_inputs, y, outputs, errors, dim = one.args
    rows = [_row(builder, y, outputs, _I64(k), dim) for k in range(n)]

    def one_line(d: Any, _: list[Any]) -> list[Any]:
        before = [_load(builder, row, d) for row in rows]

        def one_input(c: Any, changes: list[Any]) -> list[Any]:
            row = _row(builder, x, inputs, c, dim)
            line = new = _load(builder, row, d)
            first = builder.mul(c, _I64(GROUP))
            changed = []
            for k, (own, change) in enumerate(zip(before, changes, strict=True)):
                error = builder.load(builder.gep(errors, [builder.add(first, _I64(k))]))
                error = splat(builder, error, _WIDTH)
                new = fma(builder, error, own, new)
                changed.append(fma(builder, error, line, change))
            store(builder, new, row, d)
            return changed

        changes = loop(builder, _I64(0), n_inputs, 1, [constant(_LINE, 0.0)] * n, one_input)
        for row, change in zip(rows, changes, strict=True):
            # read again: the same row may stand twice among the outputs
            store(builder, builder.fadd(_load(builder, row, d), change), row, d)
        return []

    loop(builder, _I64(0), dim, _WIDTH, [], one_line)
    builder.ret_void()
    return one


def _group(context: Any, builder: Any, kind: Any, errors: Any, first: Any) -> Any:
    """Where the errors of the group of outputs from `first` on begin."""
    array = context.make_array(kind)(context, builder, errors)
    return builder.gep(array.data, [builder.mul(first, builder.extract_value(array.shape, 1))])


def _call_of_size(builder: Any, n: Any, function_of: Callable[[Any, int], Any], arguments: Sequence[Any]) -> None:
    """Call the function for n of 1 to 8 outputs."""
    after = builder.function.append_basic_block("after")
    switch = builder.switch(n, after)
    for size in range(1, GROUP + 1):
        block = builder.function.append_basic_block(f"of_{size}")
        switch.add_case(_I64(size), block)
        builder.position_at_end(block)
        builder.call(function_of(builder.module, size), arguments)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic
def measure(
    typing_context: Any, x: Any, inputs: Any, n_inputs: Any, y: Any, outputs: Any, first: Any, n: Any, labels: Any,
    rates: Any, errors: Any,
) -> Any:  # fmt: skip
    """errors[c, k] = (labels[k] - sigmoid(x[inputs[c]] . y[outputs[k]])) rates[k] for n <= 8 outputs from `first` on.

    x (V, dim) and y (W, dim) float32, dim a multiple of LANES; inputs and outputs int32; labels and rates (M,), M and
    `first` multiples of 8; errors (M / 8, most inputs, 8), groups of outputs outermost; all float32.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        dim = builder.extract_value(context.make_array(kinds[0])(context, builder, arguments[0]).shape, 1)
        x_, inputs_, y_ = (data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3))
        first_ = arguments[5]
        outputs_, labels_, rates_ = (
            builder.gep(data(context, builder, kinds[i], arguments[i]), [first_]) for i in (4, 7, 8)
        )
        errors_ = _group(context, builder, kinds[9], arguments[9], first_)
        places = [x_, inputs_, arguments[2], y_, outputs_, labels_, rates_, errors_, dim]
        _call_of_size(builder, arguments[6], _measure_function, places)
        return context.get_dummy_value()

    integer = types.int64
    return types.void(x, inputs, integer, y, outputs, integer, integer, labels, rates, errors), build


@intrinsic
def update(
    typing_context: Any, x: Any, inputs: Any, n_inputs: Any, y: Any, outputs: Any, first: Any, n: Any, errors: Any
) -> Any:
    """x[inputs] += errors @ y[outputs] and y[outputs] += errors.T @ x[inputs], both from the values before.

    A row that stands twice among the inputs has its first change when it comes the second time.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        dim = builder.extract_value(context.make_array(kinds[0])(context, builder, arguments[0]).shape, 1)
        x_, inputs_, y_, outputs_ = (data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3, 4))
        outputs_ = builder.gep(outputs_, [arguments[5]])
        errors_ = _group(context, builder, kinds[7], arguments[7], arguments[5])
        places = [x_, inputs_, arguments[2], y_, outputs_, errors_, dim]
        _call_of_size(builder, arguments[6], _update_function, places)
        return context.get_dummy_value()

    return types.void(x, inputs, types.int64, y, outputs, types.int64, types.int64, errors), build


@intrinsic
def gather_mean(typing_context: Any, x: Any, rows: Any, n: Any, mean: Any) -> Any:
    """mean[0] = mean[1] = the mean of x[rows[:n]]; mean (2, dim)."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        dim = builder.extract_value(context.make_array(kinds[0])(context, builder, arguments[0]).shape, 1)
        matrix, numbers, out = (data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3))
        share = builder.fdiv(_F32(1.0), builder.sitofp(arguments[2], _F32))
        share = splat(builder, share, _WIDTH)

        def one_line(d: Any, _: list[Any]) -> list[Any]:
            def add(c: Any, total: list[Any]) -> list[Any]:
                return [builder.fadd(total[0], _load(builder, _row(builder, matrix, numbers, c, dim), d))]

            (total,) = loop(builder, _I64(0), arguments[2], 1, [constant(_LINE, 0.0)], add)
            total = builder.fmul(total, share)
            store(builder, total, out, d)
            store(builder, total, out, builder.add(dim, d))
            return []

        loop(builder, _I64(0), dim, _WIDTH, [], one_line)
        return context.get_dummy_value()

    return types.void(x, rows, types.int64, mean), build


@intrinsic
def scatter_change(typing_context: Any, x: Any, rows: Any, n: Any, mean: Any) -> Any:
    """x[rows[:n]] += mean[0] - mean[1]."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        dim = builder.extract_value(context.make_array(kinds[0])(context, builder, arguments[0]).shape, 1)
        matrix, numbers, changed = (data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3))

        def one_line(d: Any, _: list[Any]) -> list[Any]:
            change = builder.fsub(_load(builder, changed, d), _load(builder, changed, builder.add(dim, d)))

            def add(c: Any, _: list[Any]) -> list[Any]:
                row = _row(builder, matrix, numbers, c, dim)
                store(builder, builder.fadd(_load(builder, row, d), change), row, d)
                return []

            loop(builder, _I64(0), arguments[2], 1, [], add)
            return []

        loop(builder, _I64(0), dim, _WIDTH, [], one_line)
        return context.get_dummy_value()

    return types.void(x, rows, types.int64, mean), build


@intrinsic
def prefetch_row(typing_context: Any, x: Any, row: Any) -> Any:
    """Ask for x[row], which is used soon."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        dim = builder.extract_value(array.shape, 1)
        start = builder.gep(array.data, [builder.mul(arguments[1], dim)])

        def ask(d: Any, _: list[Any]) -> list[Any]:
            prefetch_line(builder, start, d)
            return []

        loop(builder, _I64(0), dim, LANES, [], ask)
        return context.get_dummy_value()

    return types.void(x, types.int64), build
