"""The steps of attention and of its gradient, each a function of LLVM code for the processor's vector units.

Names: T queries, S keys, K d_head. Whole blocks of BLOCK queries are computed: those behind the last are as the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from hanmo.core.llvm import constant, falling_exp2, fma, function, load, loop, shuffle, splat, store
from hanmo.nn.attention_frame import (
    BLOCK,
    F32,
    FLOATS,
    I32,
    I64,
    INDICES,
    ROWS,
    VECTOR,
    WIDTH,
    Parameters,
    behind,
    least_of,
)

__all__ = [
    "clear_function", "dots_function", "drop_function", "errors_function", "gather_function", "product_function",
    "softmax_function", "turn_function",
]  # fmt: skip

_LEAST = -1e30
"""Scores are not below it where anything is seen."""


def _transpose(builder: Any, rows: list[Any]) -> list[Any]:
    """WIDTH vectors as a matrix, turned: blocks of half the size change places, then those within them."""
    half = WIDTH // 2
    while half:
        first = [lane + i for lane in range(0, WIDTH, 2 * half) for i in [*range(half), *range(WIDTH, WIDTH + half)]]
        second = [lane + half for lane in first]
        turned = list(rows)
        for r in range(WIDTH):
            if not r & half:
                turned[r] = shuffle(builder, rows[r], rows[r + half], first)
                turned[r + half] = shuffle(builder, rows[r], rows[r + half], second)
        rows, half = turned, half // 2
    return rows


def _combined(builder: Any, rows: list[Any], combine: Callable[[Any, Any], Any]) -> list[Any]:
    """All lanes of each vector combined: halves of neighbours together, as in a tree. One number for each."""
    n, width = len(rows), WIDTH
    while width > 1:
        half, both = width // 2, 1 if len(rows) == 1 else 2
        parts = [
            [lane + i + shift for lane in range(0, both * WIDTH, width) for i in range(half)] * (2 // both)
            for shift in (0, half)
        ]
        pairs = [(rows[0], rows[0])] if both == 1 else list(zip(rows[::2], rows[1::2], strict=True))
        rows = [combine(*(shuffle(builder, a, b, part) for part in parts)) for a, b in pairs]
        width = half
    return [builder.extract_element(rows[0], I32(r)) for r in range(n)]


def _kept(builder: Any, number: Any, draw: Sequence[Any]) -> Any:
    """`factor` for weights that dropout keeps, 0 for others: 32 random bits for each number, by the finalizer of MurmurHash3
    (Appleby, 2011) over a counter with two keys, are not below `least`.

    Args:
        builder: of the function.
        number: vector of int32.
        draw: vectors of the keys, least and factor.
    """
    first, second, least, factor = draw

    def mix(h: Any, shift: int, multiplier: int) -> Any:
        h = builder.xor(h, builder.lshr(h, ir.Constant(INDICES, [shift] * WIDTH)))
        return builder.mul(h, ir.Constant(INDICES, [multiplier] * WIDTH)) if multiplier else h

    h = builder.add(builder.mul(number, ir.Constant(INDICES, [0x9E3779B9] * WIDTH)), first)
    h = mix(builder.xor(mix(h, 16, 0x85EBCA6B), second), 13, 0xC2B2AE35)
    kept = builder.icmp_unsigned(">=", mix(h, 16, 0), least)
    return builder.select(kept, factor, constant(VECTOR, 0.0))


def turn_function(module: Any) -> Any:
    """Rows (S, K) → panels of WIDTH rows (S up, / WIDTH, K, WIDTH); those behind S are as the last."""
    turn, builder = function(module, "hanmo_attention_turn", [FLOATS, I64, FLOATS, I64, I64])
    if builder is None:
        return turn
    rows, stride, out, n_rows, n_columns = turn.args
    last = builder.sub(n_rows, I64(1))

    def some_rows(s: Any, _: list[Any]) -> list[Any]:
        places = [builder.mul(least_of(builder, builder.add(s, I64(i)), last), stride) for i in range(WIDTH)]
        panel = behind(builder, out, s, n_columns)

        def some_columns(c: Any, _: list[Any]) -> list[Any]:
            lines = [load(builder, rows, builder.add(place, c), VECTOR) for place in places]
            for i, line in enumerate(_transpose(builder, lines)):
                store(builder, line, panel, builder.mul(builder.add(c, I64(i)), I64(WIDTH)))
            return []

        loop(builder, I64(0), n_columns, WIDTH, [], some_columns)
        return []

    loop(builder, I64(0), n_rows, WIDTH, [], some_rows)
    builder.ret_void()
    return turn


def gather_function(module: Any) -> Any:
    """Rows (S, K) after each other: in steps of a power of 2, few of them would fit into the cache."""
    gather, builder = function(module, "hanmo_attention_gather", [FLOATS, I64, FLOATS, I64, I64])
    if builder is None:
        return gather
    rows, stride, out, n_rows, n_columns = gather.args

    def some_row(s: Any, _: list[Any]) -> list[Any]:
        row, place = behind(builder, rows, s, stride), behind(builder, out, s, n_columns)

        def some_columns(c: Any, _: list[Any]) -> list[Any]:
            store(builder, load(builder, row, c, VECTOR), place, c)
            return []

        loop(builder, I64(0), n_columns, WIDTH, [], some_columns)
        return []

    loop(builder, I64(0), n_rows, 1, [], some_row)
    builder.ret_void()
    return gather


def product_function(module: Any, deep: int, add: bool = False) -> Any:
    """out[r, d] = factors[r] Σ_i a[r, i] b[i, d] for BLOCK rows and `deep` vectors d, which are `apart` in b.

    Rows of `a` from `n_in` on, and of `out` from `n_out` on, are the last one. With `add`, what was in `out` is a part of
    the sum, rows of `out` that are not there are left out, and there are no factors.
    """
    arguments = [FLOATS, I64, I64, FLOATS, I64, I64, FLOATS, I64, FLOATS, I64, I64, I64]
    name = f"hanmo_attention_product_{deep}{'_add' if add else ''}"
    product, builder = function(module, name, arguments)
    if builder is None:
        return product
    a, a_row, a_step, b, b_step, apart, out, out_row, factors, n_in, n_out, size = product.args

    def rows(n: Any) -> list[Any]:
        last = builder.sub(n, I64(1))
        return [least_of(builder, r, last) for r in ROWS]

    lines = [behind(builder, a, row, a_row) for row in rows(n_in)]
    places = [behind(builder, out, row, out_row) for row in rows(n_out)]
    zero = constant(VECTOR, 0.0)
    before = [load(builder, place, I64(WIDTH * d), VECTOR) if add else zero for place in places for d in range(deep)]

    def step(i: Any, sums: list[Any]) -> list[Any]:
        start, own = builder.mul(i, b_step), builder.mul(i, a_step)
        vectors = [load(builder, b, builder.add(start, builder.mul(apart, I64(d))), VECTOR) for d in range(deep)]
        found = []
        for r, line in enumerate(lines):
            factor = splat(builder, builder.load(builder.gep(line, [own])), WIDTH)
            found += [fma(builder, factor, vectors[d], sums[r * deep + d]) for d in range(deep)]
        return found

    sums = loop(builder, I64(0), size, 1, before, step)
    for r, place in enumerate(places):
        if add:
            with builder.if_then(builder.icmp_signed("<", I64(r), n_out)):
                for d in range(deep):
                    store(builder, sums[r * deep + d], place, I64(WIDTH * d))
        else:
            factor = splat(builder, builder.load(builder.gep(factors, [I64(r)])), WIDTH)
            for d in range(deep):
                store(builder, builder.fmul(sums[r * deep + d], factor), place, I64(WIDTH * d))
    builder.ret_void()
    return product


def _limits(builder: Any, limit: Any, n: Any) -> list[Any]:
    """How many keys each of the BLOCK queries sees, as vectors."""
    last = builder.sub(n, I64(1))
    numbers = [builder.add(limit, least_of(builder, r, last)) for r in ROWS]
    return [splat(builder, builder.trunc(number, I32), WIDTH) for number in numbers]


def _places(builder: Any, c: Any) -> Any:
    """c, c + 1, … as a vector of int32."""
    return builder.add(splat(builder, builder.trunc(c, I32), WIDTH), ir.Constant(INDICES, list(range(WIDTH))))


def softmax_function(module: Any) -> Any:
    """2**(scores + bias - most) in place for BLOCK rows; `most`, and 1 / their sums, 0 where nothing is seen.

    Row r sees the first `limit` + min(r, n - 1) columns, and of these what the bias lets it.
    """
    kinds = [FLOATS, I64, FLOATS, FLOATS, FLOATS, I64, I64, I64]
    softmax, builder = function(module, "hanmo_attention_softmax", kinds)
    if builder is None:
        return softmax
    scores, stride, bias, tops, inverses, columns, limit, n = softmax.args
    rows = [behind(builder, scores, r, stride) for r in ROWS]
    ends = _limits(builder, limit, n)

    def greater(a: Any, b: Any) -> Any:  # a NaN is lost, but comes back where it is subtracted
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    def look(c: Any, most: list[Any]) -> list[Any]:
        added, places, found = load(builder, bias, c, VECTOR), _places(builder, c), []
        for row, top, end in zip(rows, most, ends, strict=True):
            value = builder.fadd(load(builder, row, c, VECTOR), added)
            seen = builder.icmp_signed("<", places, end)
            value = builder.select(seen, value, constant(VECTOR, float("-inf")))
            store(builder, value, row, c)
            found.append(greater(value, top))
        return found

    most = loop(builder, I64(0), columns, WIDTH, [constant(VECTOR, _LEAST)] * BLOCK, look)
    most = _combined(builder, most, greater)
    for r, top in zip(ROWS, most, strict=True):
        builder.store(top, builder.gep(tops, [r]))
    subtracted = [splat(builder, top, WIDTH) for top in most]

    def weigh(c: Any, totals: list[Any]) -> list[Any]:
        found = []
        for row, top, total in zip(rows, subtracted, totals, strict=True):
            value = falling_exp2(builder, builder.fsub(load(builder, row, c, VECTOR), top))
            store(builder, value, row, c)
            found.append(builder.fadd(total, value))
        return found

    totals = loop(builder, I64(0), columns, WIDTH, [constant(VECTOR, 0.0)] * BLOCK, weigh)
    for r, total in zip(ROWS, _combined(builder, totals, builder.fadd), strict=True):
        blind = builder.fcmp_ordered("==", total, F32(0.0))
        share = builder.select(blind, F32(0.0), builder.fdiv(F32(1.0), total))
        builder.store(share, builder.gep(inverses, [r]))
    builder.ret_void()
    return softmax


def _numbers(builder: Any, first: Any, stride: Any, n: Any) -> list[Any]:
    """Of the first weight of each query: those behind the last go to its place, so what is drawn for them must be the same."""
    last = builder.sub(n, I64(1))
    return [builder.add(first, builder.mul(least_of(builder, r, last), stride)) for r in ROWS]


def drop_function(module: Any) -> Any:
    """Weights of BLOCK queries times what `_kept` says; `first` is the number of their first weight."""
    drop, builder = function(module, "hanmo_attention_drop", [FLOATS, I64, I64, I64, I64, I64.as_pointer()])
    if builder is None:
        return drop
    scores, stride, columns, n, first, p = drop.args
    draw, numbers = Parameters(builder, p).draw(), _numbers(builder, first, stride, n)

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        for r, number in zip(ROWS, numbers, strict=True):
            place = builder.add(builder.mul(r, stride), c)
            kept = _kept(builder, _places(builder, builder.add(number, c)), draw)
            store(builder, builder.fmul(load(builder, scores, place, VECTOR), kept), scores, place)
        return []

    loop(builder, I64(0), columns, WIDTH, [], some_columns)
    builder.ret_void()
    return drop


def dots_function(module: Any) -> Any:
    """Σ_i a[r, i] b[r, i] for the rows of a block; rows from `n` on are the last one."""
    dots, builder = function(module, "hanmo_attention_dots", [FLOATS, FLOATS, I64, FLOATS, I64, I64])
    if builder is None:
        return dots
    a, b, stride, out, n, size = dots.args
    last = builder.sub(n, I64(1))
    starts = [builder.mul(least_of(builder, r, last), stride) for r in ROWS]

    def add(c: Any, sums: list[Any]) -> list[Any]:
        places = [builder.add(start, c) for start in starts]
        return [
            fma(builder, load(builder, a, place, VECTOR), load(builder, b, place, VECTOR), old)
            for place, old in zip(places, sums, strict=True)
        ]

    sums = loop(builder, I64(0), size, WIDTH, [constant(VECTOR, 0.0)] * BLOCK, add)
    for r, total in zip(ROWS, _combined(builder, sums, builder.fadd), strict=True):
        builder.store(total, builder.gep(out, [r]))
    builder.ret_void()
    return dots


def errors_function(module: Any) -> Any:
    """For BLOCK queries: scores → weights that are kept, gradients of these → gradients of the scores (in place both).

    dS = P ⊙ (kept ⊙ d - D), here times the scale of the scores; d is what comes from the values, D the product of the output
    with its gradient.
    """
    arguments = [FLOATS, FLOATS, I64, FLOATS, FLOATS, FLOATS, *[I64] * 4, I64.as_pointer()]
    errors, builder = function(module, "hanmo_attention_errors", arguments)
    if builder is None:
        return errors
    scores, gradients, stride, bias, stats, dots, columns, limit, n, first, p = errors.args
    last = builder.sub(n, I64(1))
    own = Parameters(builder, p)
    draw, scale = own.draw(), splat(builder, own.number("scale"), WIDTH)
    numbers, ends = _numbers(builder, first, stride, n), _limits(builder, limit, n)
    factors = []
    for r in ROWS:
        place = builder.mul(least_of(builder, r, last), I64(2))
        known = [builder.load(builder.gep(stats, [builder.add(place, I64(i))])) for i in (0, 1)]
        known.append(builder.load(builder.gep(dots, [r])))
        factors.append([splat(builder, one, WIDTH) for one in known])

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        added, places = load(builder, bias, c, VECTOR), _places(builder, c)
        for r, number, end, (top, inverse, dot) in zip(ROWS, numbers, ends, factors, strict=True):
            place = builder.add(builder.mul(r, stride), c)
            score = builder.fsub(builder.fadd(load(builder, scores, place, VECTOR), added), top)
            weight = builder.fmul(falling_exp2(builder, score), inverse)
            weight = builder.select(builder.icmp_signed("<", places, end), weight, constant(VECTOR, 0.0))
            kept = _kept(builder, _places(builder, builder.add(number, c)), draw)
            store(builder, builder.fmul(weight, kept), scores, place)
            error = builder.fsub(builder.fmul(load(builder, gradients, place, VECTOR), kept), dot)
            store(builder, builder.fmul(builder.fmul(weight, scale), error), gradients, place)
        return []

    loop(builder, I64(0), columns, WIDTH, [], some_columns)
    builder.ret_void()
    return errors


def clear_function(module: Any) -> Any:
    """Zeros from column `start` to `stop` of the rows of two blocks."""
    clear, builder = function(module, "hanmo_attention_clear", [FLOATS, FLOATS, I64, I64, I64])
    if builder is None:
        return clear
    one, other, stride, start, stop = clear.args

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        for r in ROWS:
            for rows in (one, other):
                store(builder, constant(VECTOR, 0.0), rows, builder.add(builder.mul(r, stride), c))
        return []

    loop(builder, start, stop, WIDTH, [], some_columns)
    builder.ret_void()
    return clear
