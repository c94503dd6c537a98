"""Attention of one head and its gradient, written directly for the processor's vector units.

The scores of a block of queries stay in the cache nearest to the processor from the product with the keys to the product
with the values. They are not kept for the gradient, which computes them again (Dao et al., 2022, algorithm 4). Nothing
depends on how many padded keys there are: a text has the same bits alone and in a batch.

Names: T queries, S keys, K d_head. Whole blocks of BLOCK queries are computed: those behind the last are as the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numba.extending
from llvmlite import ir
from numba import types

from hanmo.core.llvm import constant, exp2, fma, function, load, loop, prefetch_line, shuffle, splat, store

__all__ = ["PARAMETERS", "WIDTH", "attend_head", "learn_head", "room_for"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

PARAMETERS = (
    "begun", "threads",  # shares of the work and threads that have begun
    "q", "q_row", "q_step", "q_head",  # address of the first number; from one text, position, head to the next
    "k", "v", "k_row", "k_step", "k_head",
    "out", "d_out",  # (B, T, H, K)
    "d_q", "d_k", "d_v",  # (B, T, H, K), (B, S, H, K) twice
    "bias", "columns",  # (B, columns): in powers of 2, -inf for keys that nobody sees and from S on
    "stats",  # (B H T, 2): the greatest score, in powers of 2, and 1 / sum of the weights; 0 where they are not kept
    "room", "room_size",  # for each thread
    "n_heads", "group", "n", "few",  # heads, those that share a key, texts times heads, heads of one share
    "causal", "T", "S", "K",
    "scale",  # of scores, the bits of a float32
    "first", "second", "least", "factor",  # dropout: see `_kept`; the bits of a float32
)  # fmt: skip
"""int64 each."""

_I64, _I32, _F32 = ir.IntType(64), ir.IntType(32), ir.FloatType()
_FLOATS = _F32.as_pointer()
_WIDE = bool(llvm.get_host_cpu_features().get("avx512f"))
WIDTH = 16 if _WIDE else 8
"""Lanes of a register."""
_BLOCK = 8 if _WIDE else 4
"""Queries that are computed together."""
_DEEP = 3 if _WIDE else 2
"""Registers of a query that are held at once: BLOCK × DEEP sums, and what is multiplied, fill all registers."""
_STRETCH = 4 * _BLOCK
"""Queries whose gradients reach the keys together."""
_VECTOR, _INDICES = ir.VectorType(_F32, WIDTH), ir.VectorType(_I32, WIDTH)
_LINE = 16
"""Numbers of a cache line."""
_LEAST = -1e30
"""Scores are not below it where anything is seen."""
_ROWS = [_I64(r) for r in range(_BLOCK)]


def room_for(columns: int, K: int, learns: bool) -> int:
    """Numbers that a thread needs room for."""
    small, keys, queries = 5 * _BLOCK, columns * K, _BLOCK * columns
    return small + 3 * keys + keys + 2 * 4 * queries if learns else small + 2 * keys + queries


# ---- pieces


def _least_of(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _up(builder: Any, n: Any) -> Any:
    """`n` up to a multiple of WIDTH."""
    return builder.and_(builder.add(n, _I64(WIDTH - 1)), _I64(-WIDTH))


def _behind(builder: Any, start: Any, index: Any, stride: Any) -> Any:
    return builder.gep(start, [builder.mul(index, stride)])


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
    return [builder.extract_element(rows[0], _I32(r)) for r in range(n)]


def _columns(builder: Any, columns: Any, emit: Callable[[Any, int], None]) -> None:
    """Calls `emit(start, deep)` over all columns, a multiple of WIDTH: as many registers at once as there is room for."""
    start: Any = _I64(0)
    for deep in range(_DEEP, 0, -1):
        left = builder.sub(columns, start)
        stop = builder.add(start, builder.sub(left, builder.srem(left, _I64(deep * WIDTH))))

        def body(c: Any, _: list[Any], deep: int = deep) -> list[Any]:
            emit(c, deep)
            return []

        loop(builder, start, stop, deep * WIDTH, [], body)
        start = stop


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
        h = builder.xor(h, builder.lshr(h, ir.Constant(_INDICES, [shift] * WIDTH)))
        return builder.mul(h, ir.Constant(_INDICES, [multiplier] * WIDTH)) if multiplier else h

    h = builder.add(builder.mul(number, ir.Constant(_INDICES, [0x9E3779B9] * WIDTH)), first)
    h = mix(builder.xor(mix(h, 16, 0x85EBCA6B), second), 13, 0xC2B2AE35)
    kept = builder.icmp_unsigned(">=", mix(h, 16, 0), least)
    return builder.select(kept, factor, constant(_VECTOR, 0.0))


class _Parameters:
    """Those of the head with number `number`, from the array `p`."""

    def __init__(self, builder: Any, p: Any, number: Any):
        self.builder, self.p = builder, p
        n_heads = self["n_heads"]
        self.number = number
        self.text, self.head = builder.sdiv(number, n_heads), builder.srem(number, n_heads)
        self.key_head = builder.sdiv(self.head, self["group"])

    def __getitem__(self, name: str) -> Any:
        return self.builder.load(self.builder.gep(self.p, [_I64(PARAMETERS.index(name))]))

    def number_of(self, name: str) -> Any:
        """A float32."""
        return self.builder.bitcast(self.builder.trunc(self[name], _I32), _F32)

    def pointer(self, name: str, offset: Any = None) -> Any:
        place = self.builder.inttoptr(self[name], _FLOATS)
        return place if offset is None else self.builder.gep(place, [offset])

    def of_text(self, name: str, head: Any) -> Any:
        """First number of this head of this text, with strides of its own."""
        kind = "q" if name == "q" else "k"
        builder = self.builder
        offset = builder.add(builder.mul(self.text, self[f"{kind}_row"]), builder.mul(head, self[f"{kind}_head"]))
        return self.pointer(name, offset)

    def whole(self, name: str, length: str) -> Any:
        """First number of this head of this text in (B, length, H, K)."""
        builder = self.builder
        texts = builder.mul(builder.mul(self.text, self[length]), self["n_heads"])
        return self.pointer(name, builder.mul(builder.add(texts, self.head), self["K"]))

    def draw(self) -> list[Any]:
        """For `_kept`."""
        builder = self.builder
        integers = [splat(builder, builder.trunc(self[name], _I32), WIDTH) for name in ("first", "second", "least")]
        return [*integers, splat(builder, self.number_of("factor"), WIDTH)]


# ---- functions


def _turn_function(module: Any) -> Any:
    """Rows (S, K) → panels of WIDTH rows (S up, / WIDTH, K, WIDTH); those behind S are as the last."""
    turn, builder = function(module, "hanmo_attention_turn", [_FLOATS, _I64, _FLOATS, _I64, _I64])
    if builder is None:
        return turn
    rows, stride, out, n_rows, n_columns = turn.args
    last = builder.sub(n_rows, _I64(1))

    def some_rows(s: Any, _: list[Any]) -> list[Any]:
        places = [builder.mul(_least_of(builder, builder.add(s, _I64(i)), last), stride) for i in range(WIDTH)]
        panel = _behind(builder, out, s, n_columns)

        def some_columns(c: Any, _: list[Any]) -> list[Any]:
            lines = [load(builder, rows, builder.add(place, c), _VECTOR) for place in places]
            for i, line in enumerate(_transpose(builder, lines)):
                store(builder, line, panel, builder.mul(builder.add(c, _I64(i)), _I64(WIDTH)))
            return []

        loop(builder, _I64(0), n_columns, WIDTH, [], some_columns)
        return []

    loop(builder, _I64(0), n_rows, WIDTH, [], some_rows)
    builder.ret_void()
    return turn


def _gather_function(module: Any) -> Any:
    """Rows (S, K) after each other: in steps of a power of 2, few of them would fit into the cache."""
    gather, builder = function(module, "hanmo_attention_gather", [_FLOATS, _I64, _FLOATS, _I64, _I64])
    if builder is None:
        return gather
    rows, stride, out, n_rows, n_columns = gather.args

    def some_row(s: Any, _: list[Any]) -> list[Any]:
        row, place = _behind(builder, rows, s, stride), _behind(builder, out, s, n_columns)

        def some_columns(c: Any, _: list[Any]) -> list[Any]:
            store(builder, load(builder, row, c, _VECTOR), place, c)
            return []

        loop(builder, _I64(0), n_columns, WIDTH, [], some_columns)
        return []

    loop(builder, _I64(0), n_rows, 1, [], some_row)
    builder.ret_void()
    return gather


def _product_function(module: Any, deep: int, add: bool = False) -> Any:
    """out[r, d] = factors[r] Σ_i a[r, i] b[i, d] for BLOCK rows and `deep` vectors d, which are `apart` in b.

    Rows of `a` from `n_in` on, and of `out` from `n_out` on, are the last one. With `add`, what was in `out` is a part of
    the sum, rows of `out` that are not there are left out, and there are no factors.
    """
    arguments = [_FLOATS, _I64, _I64, _FLOATS, _I64, _I64, _FLOATS, _I64, _FLOATS, _I64, _I64, _I64]
    name = f"hanmo_attention_product_{deep}{'_add' if add else ''}"
    product, builder = function(module, name, arguments)
    if builder is None:
        return product
    a, a_row, a_step, b, b_step, apart, out, out_row, factors, n_in, n_out, size = product.args

    def rows(n: Any) -> list[Any]:
        last = builder.sub(n, _I64(1))
        return [_least_of(builder, r, last) for r in _ROWS]

    lines = [_behind(builder, a, row, a_row) for row in rows(n_in)]
    places = [_behind(builder, out, row, out_row) for row in rows(n_out)]
    zero = constant(_VECTOR, 0.0)
    before = [load(builder, place, _I64(WIDTH * d), _VECTOR) if add else zero for place in places for d in range(deep)]

    def step(i: Any, sums: list[Any]) -> list[Any]:
        start, own = builder.mul(i, b_step), builder.mul(i, a_step)
        vectors = [load(builder, b, builder.add(start, builder.mul(apart, _I64(d))), _VECTOR) for d in range(deep)]
        found = []
        for r, line in enumerate(lines):
            factor = splat(builder, builder.load(builder.gep(line, [own])), WIDTH)
            found += [fma(builder, factor, vectors[d], sums[r * deep + d]) for d in range(deep)]
        return found

    sums = loop(builder, _I64(0), size, 1, before, step)
    for r, place in enumerate(places):
        if add:
            with builder.if_then(builder.icmp_signed("<", _I64(r), n_out)):
                for d in range(deep):
                    store(builder, sums[r * deep + d], place, _I64(WIDTH * d))
        else:
            factor = splat(builder, builder.load(builder.gep(factors, [_I64(r)])), WIDTH)
            for d in range(deep):
                store(builder, builder.fmul(sums[r * deep + d], factor), place, _I64(WIDTH * d))
    builder.ret_void()
    return product


def _limits(builder: Any, limit: Any, n: Any) -> list[Any]:
    """How many keys each of the BLOCK queries sees, as vectors."""
    last = builder.sub(n, _I64(1))
    numbers = [builder.add(limit, _least_of(builder, r, last)) for r in _ROWS]
    return [splat(builder, builder.trunc(number, _I32), WIDTH) for number in numbers]


def _places(builder: Any, c: Any) -> Any:
    """c, c + 1, … as a vector of int32."""
    return builder.add(splat(builder, builder.trunc(c, _I32), WIDTH), ir.Constant(_INDICES, list(range(WIDTH))))


def _power(builder: Any, value: Any) -> Any:
    """2**value for what is at most 0, and exactly 0 far below."""
    least = constant(_VECTOR, -126.0)
    unseen = builder.fcmp_ordered("<", value, least)  # not so for NaN, which stays
    return builder.select(unseen, constant(_VECTOR, 0.0), exp2(builder, builder.select(unseen, least, value)))


def _softmax_function(module: Any, causal: bool) -> Any:
    """2**(scores + bias - most) in place for BLOCK rows; `most`, and 1 / their sums, 0 where nothing is seen.

    With `causal`, row r sees the first `limit` + min(r, n - 1) columns.
    """
    name = f"hanmo_attention_softmax{'_causal' if causal else ''}"
    softmax, builder = function(module, name, [_FLOATS, _I64, _FLOATS, _FLOATS, _FLOATS, _I64, _I64, _I64])
    if builder is None:
        return softmax
    scores, stride, bias, tops, inverses, columns, limit, n = softmax.args
    rows = [_behind(builder, scores, r, stride) for r in _ROWS]
    ends = _limits(builder, limit, n)

    def greater(a: Any, b: Any) -> Any:  # a NaN is lost, but comes back where it is subtracted
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    def look(c: Any, most: list[Any]) -> list[Any]:
        added, found = load(builder, bias, c, _VECTOR), []
        places = _places(builder, c) if causal else None
        for row, top, end in zip(rows, most, ends, strict=True):
            value = builder.fadd(load(builder, row, c, _VECTOR), added)
            if causal:
                seen = builder.icmp_signed("<", places, end)
                value = builder.select(seen, value, constant(_VECTOR, float("-inf")))
            store(builder, value, row, c)
            found.append(greater(value, top))
        return found

    most = loop(builder, _I64(0), columns, WIDTH, [constant(_VECTOR, _LEAST)] * _BLOCK, look)
    most = _combined(builder, most, greater)
    for r, top in zip(_ROWS, most, strict=True):
        builder.store(top, builder.gep(tops, [r]))
    subtracted = [splat(builder, top, WIDTH) for top in most]

    def weigh(c: Any, totals: list[Any]) -> list[Any]:
        found = []
        for row, top, total in zip(rows, subtracted, totals, strict=True):
            value = _power(builder, builder.fsub(load(builder, row, c, _VECTOR), top))
            store(builder, value, row, c)
            found.append(builder.fadd(total, value))
        return found

    totals = loop(builder, _I64(0), columns, WIDTH, [constant(_VECTOR, 0.0)] * _BLOCK, weigh)
    for r, total in zip(_ROWS, _combined(builder, totals, builder.fadd), strict=True):
        blind = builder.fcmp_ordered("==", total, _F32(0.0))
        share = builder.select(blind, _F32(0.0), builder.fdiv(_F32(1.0), total))
        builder.store(share, builder.gep(inverses, [r]))
    builder.ret_void()
    return softmax


def _numbers(builder: Any, first: Any, stride: Any, n: Any) -> list[Any]:
    """Of the first weight of each query: those behind the last go to its place, so what is drawn for them must be the same."""
    last = builder.sub(n, _I64(1))
    return [builder.add(first, builder.mul(_least_of(builder, r, last), stride)) for r in _ROWS]


def _drop_function(module: Any) -> Any:
    """Weights of BLOCK queries times what `_kept` says; `first` is the number of their first weight."""
    drop, builder = function(module, "hanmo_attention_drop", [_FLOATS, _I64, _I64, _I64, _I64, _I64.as_pointer()])
    if builder is None:
        return drop
    scores, stride, columns, n, first, p = drop.args
    draw, numbers = _Parameters(builder, p, _I64(0)).draw(), _numbers(builder, first, stride, n)

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        for r, number in zip(_ROWS, numbers, strict=True):
            behind = builder.add(builder.mul(r, stride), c)
            kept = _kept(builder, _places(builder, builder.add(number, c)), draw)
            store(builder, builder.fmul(load(builder, scores, behind, _VECTOR), kept), scores, behind)
        return []

    loop(builder, _I64(0), columns, WIDTH, [], some_columns)
    builder.ret_void()
    return drop


def _dots_function(module: Any) -> Any:
    """Σ_i a[r, i] b[r, i] for the rows of a block; rows from `n` on are the last one."""
    dots, builder = function(module, "hanmo_attention_dots", [_FLOATS, _FLOATS, _I64, _FLOATS, _I64, _I64])
    if builder is None:
        return dots
    a, b, stride, out, n, size = dots.args
    last = builder.sub(n, _I64(1))
    starts = [builder.mul(_least_of(builder, r, last), stride) for r in _ROWS]

    def add(c: Any, sums: list[Any]) -> list[Any]:
        places = [builder.add(start, c) for start in starts]
        return [
            fma(builder, load(builder, a, place, _VECTOR), load(builder, b, place, _VECTOR), old)
            for place, old in zip(places, sums, strict=True)
        ]

    sums = loop(builder, _I64(0), size, WIDTH, [constant(_VECTOR, 0.0)] * _BLOCK, add)
    for r, total in zip(_ROWS, _combined(builder, sums, builder.fadd), strict=True):
        builder.store(total, builder.gep(out, [r]))
    builder.ret_void()
    return dots


def _errors_function(module: Any) -> Any:
    """For BLOCK queries: scores → weights that are kept, gradients of these → gradients of the scores (in place both).

    dS = P ⊙ (kept ⊙ d - D), here times the scale of the scores; d is what comes from the values, D the product of the output
    with its gradient.
    """
    arguments = [_FLOATS, _FLOATS, _I64, _FLOATS, _FLOATS, _FLOATS, *[_I64] * 5, _I64.as_pointer()]
    errors, builder = function(module, "hanmo_attention_errors", arguments)
    if builder is None:
        return errors
    scores, gradients, stride, bias, stats, dots, columns, causal, limit, n, first, p = errors.args
    last = builder.sub(n, _I64(1))
    own = _Parameters(builder, p, _I64(0))
    draw, scale = own.draw(), splat(builder, own.number_of("scale"), WIDTH)
    numbers, ends = _numbers(builder, first, stride, n), _limits(builder, limit, n)
    everything = builder.icmp_signed("==", causal, _I64(0))
    ends = [builder.select(everything, ir.Constant(_INDICES, [2**31 - 1] * WIDTH), end) for end in ends]
    factors = []
    for r in _ROWS:
        place = builder.mul(_least_of(builder, r, last), _I64(2))
        known = [builder.load(builder.gep(stats, [builder.add(place, _I64(i))])) for i in (0, 1)]
        known.append(builder.load(builder.gep(dots, [r])))
        factors.append([splat(builder, one, WIDTH) for one in known])

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        added, places = load(builder, bias, c, _VECTOR), _places(builder, c)
        for r, number, end, (top, inverse, dot) in zip(_ROWS, numbers, ends, factors, strict=True):
            behind = builder.add(builder.mul(r, stride), c)
            score = builder.fsub(builder.fadd(load(builder, scores, behind, _VECTOR), added), top)
            weight = builder.fmul(_power(builder, score), inverse)
            weight = builder.select(builder.icmp_signed("<", places, end), weight, constant(_VECTOR, 0.0))
            kept = _kept(builder, _places(builder, builder.add(number, c)), draw)
            store(builder, builder.fmul(weight, kept), scores, behind)
            error = builder.fsub(builder.fmul(load(builder, gradients, behind, _VECTOR), kept), dot)
            store(builder, builder.fmul(builder.fmul(weight, scale), error), gradients, behind)
        return []

    loop(builder, _I64(0), columns, WIDTH, [], some_columns)
    builder.ret_void()
    return errors


def _clear_function(module: Any) -> Any:
    """Zeros from column `start` to `stop` of the rows of two blocks."""
    clear, builder = function(module, "hanmo_attention_clear", [_FLOATS, _FLOATS, _I64, _I64, _I64])
    if builder is None:
        return clear
    one, other, stride, start, stop = clear.args

    def some_columns(c: Any, _: list[Any]) -> list[Any]:
        for r in _ROWS:
            for rows in (one, other):
                store(builder, constant(_VECTOR, 0.0), rows, builder.add(builder.mul(r, stride), c))
        return []

    loop(builder, start, stop, WIDTH, [], some_columns)
    builder.ret_void()
    return clear


class _Head:
    """What forward and gradient of a head have in common."""

    def __init__(self, builder: Any, p: Any, number: Any, room: Any):
        self.builder, self.module = builder, builder.module
        self.own = own = _Parameters(builder, p, number)
        self.T, self.S, self.K, self.columns = (own[name] for name in ("T", "S", "K", "columns"))
        self.q, self.q_step = own.of_text("q", own.head), own["q_step"]
        self.k, self.v, self.k_step = own.of_text("k", own.key_head), own.of_text("v", own.key_head), own["k_step"]
        self.bias = own.pointer("bias", builder.mul(own.text, self.columns))
        self.out_step = builder.mul(own["n_heads"], self.K)
        self.causal = own["causal"]
        self.is_causal = builder.icmp_signed("!=", self.causal, _I64(0))
        self.drops = builder.icmp_unsigned(">", own["least"], _I64(0))
        self.scales, self.ones, self.tops, self.inverses, self.dots = (
            builder.gep(room, [_I64(i * _BLOCK)]) for i in range(5)
        )
        self.room = builder.gep(room, [_I64(5 * _BLOCK)])
        scale = own.number_of("scale")
        for r in _ROWS:
            builder.store(builder.fmul(scale, _F32(1 / math.log(2))), builder.gep(self.scales, [r]))
            builder.store(_F32(1.0), builder.gep(self.ones, [r]))

    def stats(self) -> Any:
        return self.own.pointer("stats", self.builder.mul(self.builder.mul(self.own.number, self.T), _I64(2)))

    def take(self, n: Any) -> Any:
        """Room for so many numbers."""
        taken, self.room = self.room, self.builder.gep(self.room, [n])
        return taken

    def queries(self, t: Any) -> tuple[Any, Any, Any, Any]:
        """Of the block from `t` on: how many there are, keys that the first and that any sees, and these up to whole registers."""
        builder = self.builder
        n = _least_of(builder, builder.sub(self.T, t), _I64(_BLOCK))
        first = builder.add(builder.sub(self.S, self.T), builder.add(t, _I64(1)))
        most = builder.select(self.is_causal, builder.add(first, builder.sub(n, _I64(1))), self.S)
        return n, first, most, _up(builder, most)

    def times_panels(self, a: Any, a_step: Any, panels: Any, out: Any, factors: Any, n: Any, columns: Any) -> None:
        """Rows of a block times turned rows: (BLOCK, columns)."""
        builder = self.builder

        def some(c: Any, deep: int) -> None:
            panel, place = _behind(builder, panels, c, self.K), builder.gep(out, [c])
            places = (a, a_step, _I64(1), panel, _I64(WIDTH), builder.mul(self.K, _I64(WIDTH)), place, self.columns)
            builder.call(_product_function(self.module, deep), (*places, factors, n, _I64(_BLOCK), self.K))

        _columns(builder, columns, some)

    def times_rows(self, a: Any, rows: Any, out: Any, out_step: Any, factors: Any, n: Any, size: Any) -> None:
        """(BLOCK, columns) times rows that lie after each other: n rows of K."""
        builder = self.builder

        def some(c: Any, deep: int) -> None:
            place, one = builder.gep(out, [c]), builder.gep(rows, [c])
            places = (a, self.columns, _I64(1), one, self.K, _I64(WIDTH), place, out_step, factors)
            builder.call(_product_function(self.module, deep), (*places, _I64(_BLOCK), n, size))

        _columns(builder, self.K, some)

    def number(self, t: Any) -> Any:
        """Of the first weight of a query: counts over all texts, heads, queries and keys."""
        builder = self.builder
        return builder.mul(builder.add(builder.mul(self.own.number, self.T), t), self.columns)


def _head_function(module: Any) -> Any:
    head, builder = function(module, "hanmo_attention_head", [_I64.as_pointer(), _I64, _FLOATS])
    if builder is None:
        return head
    p, number, room = head.args
    one = _Head(builder, p, number, room)
    keys = builder.mul(one.columns, one.K)
    turned, values, scores = one.take(keys), one.take(keys), one.room
    builder.call(_turn_function(module), (one.k, one.k_step, turned, one.S, one.K))
    builder.call(_gather_function(module), (one.v, one.k_step, values, one.S, one.K))
    out = one.own.whole("out", "T")
    keeps = builder.icmp_signed("!=", one.own["stats"], _I64(0))

    def block(t: Any, _: list[Any]) -> list[Any]:
        n, first, most, some = one.queries(t)
        one.times_panels(_behind(builder, one.q, t, one.q_step), one.q_step, turned, scores, one.scales, n, some)
        weighed = (scores, one.columns, one.bias, one.tops, one.inverses, some, first, n)
        with builder.if_else(one.is_causal) as (yes, no):
            with yes:
                builder.call(_softmax_function(module, True), weighed)
            with no:
                builder.call(_softmax_function(module, False), weighed)
        with builder.if_then(keeps):
            kept = _behind(builder, one.stats(), t, _I64(2))

            def keep(r: Any, _: list[Any]) -> list[Any]:
                for i, numbers in enumerate((one.tops, one.inverses)):
                    place = builder.add(builder.mul(r, _I64(2)), _I64(i))
                    builder.store(builder.load(builder.gep(numbers, [r])), builder.gep(kept, [place]))
                return []

            loop(builder, _I64(0), n, 1, [], keep)
        with builder.if_then(one.drops):
            builder.call(_drop_function(module), (scores, one.columns, some, n, one.number(t), p))
        one.times_rows(scores, values, _behind(builder, out, t, one.out_step), one.out_step, one.inverses, n, most)
        return []

    loop(builder, _I64(0), one.T, _BLOCK, [], block)
    builder.ret_void()
    return head


def _gradient_function(module: Any) -> Any:
    head, builder = function(module, "hanmo_attention_gradient", [_I64.as_pointer(), _I64, _FLOATS])
    if builder is None:
        return head
    p, number, room = head.args
    one = _Head(builder, p, number, room)
    own, keys, some_rows = one.own, builder.mul(one.columns, one.K), builder.mul(one.columns, _I64(_STRETCH))
    turned, turned_values, rows = one.take(keys), one.take(keys), one.take(keys)
    one.take(keys)
    weights, errors = one.take(some_rows), one.take(some_rows)
    builder.call(_turn_function(module), (one.k, one.k_step, turned, one.S, one.K))
    builder.call(_turn_function(module), (one.v, one.k_step, turned_values, one.S, one.K))
    builder.call(_gather_function(module), (one.k, one.k_step, rows, one.S, one.K))
    out, d_out, d_q = (own.whole(name, "T") for name in ("out", "d_out", "d_q"))
    d_k, d_v = own.whole("d_k", "S"), own.whole("d_v", "S")
    stats = one.stats()

    def stretch(t: Any, _: list[Any]) -> list[Any]:
        end = _least_of(builder, one.T, builder.add(t, _I64(_STRETCH)))
        seen = builder.add(builder.sub(one.S, one.T), end)  # keys that the last of these queries sees
        seen = builder.select(one.is_causal, seen, one.S)
        widest = _up(builder, seen)

        def block(i: Any, _: list[Any]) -> list[Any]:
            n, first, most, some = one.queries(i)
            behind = builder.mul(builder.sub(i, t), one.columns)
            scores, gradients = builder.gep(weights, [behind]), builder.gep(errors, [behind])
            outs, d_outs = (_behind(builder, x, i, one.out_step) for x in (out, d_out))
            queries = _behind(builder, one.q, i, one.q_step)
            one.times_panels(queries, one.q_step, turned, scores, one.scales, n, some)
            one.times_panels(d_outs, one.out_step, turned_values, gradients, one.ones, n, some)
            builder.call(_dots_function(module), (outs, d_outs, one.out_step, one.dots, n, one.K))
            known = (
                one.bias,
                _behind(builder, stats, i, _I64(2)),
                one.dots,
                some,
                one.causal,
                first,
                n,
                one.number(i),
                p,
            )
            builder.call(_errors_function(module), (scores, gradients, one.columns, *known))
            place = _behind(builder, d_q, i, one.out_step)
            one.times_rows(gradients, rows, place, one.out_step, one.ones, n, most)
            builder.call(_clear_function(module), (scores, gradients, one.columns, some, widest))
            return []

        loop(builder, t, end, _BLOCK, [], block)
        n = builder.sub(end, t)
        # the first stretch reaches all keys, unless it is causal
        fresh = builder.and_(builder.icmp_signed("==", t, _I64(0)), builder.not_(one.is_causal))
        for a, b, b_step, place in (
            (errors, _behind(builder, one.q, t, one.q_step), one.q_step, d_k),
            (weights, _behind(builder, d_out, t, one.out_step), one.out_step, d_v),
        ):

            def some_keys(
                s: Any, _: list[Any], a: Any = a, b: Any = b, step: Any = b_step, place: Any = place
            ) -> list[Any]:
                here = _least_of(builder, builder.sub(seen, s), _I64(_BLOCK))

                def some(c: Any, deep: int) -> None:
                    target = builder.gep(_behind(builder, place, s, one.out_step), [c])
                    places = (builder.gep(a, [s]), _I64(1), one.columns, builder.gep(b, [c]), step, _I64(WIDTH), target)
                    sizes = (one.out_step, one.ones, here, here, n)
                    with builder.if_else(fresh) as (yes, no):
                        with yes:
                            builder.call(_product_function(module, deep), (*places, *sizes))
                        with no:
                            builder.call(_product_function(module, deep, add=True), (*places, *sizes))

                _columns(builder, one.K, some)
                return []

            loop(builder, _I64(0), seen, _BLOCK, [], some_keys)
        return []

    loop(builder, _I64(0), one.T, _STRETCH, [], stretch)
    builder.ret_void()
    return head


def _ask_for_next(one: _Head, outputs: Sequence[tuple[str, str]]) -> None:
    """Prefetch what lies behind the rows of this head: those of the next one, too far apart to be foreseen."""
    builder = one.builder

    def ask(first: Any, stride: Any, n: Any) -> None:
        def row(i: Any, _: list[Any]) -> list[Any]:
            start = builder.gep(first, [builder.add(builder.mul(i, stride), one.K)])

            def line(c: Any, _: list[Any]) -> list[Any]:
                prefetch_line(builder, start, c)
                return []

            loop(builder, _I64(0), one.K, _LINE, [], line)
            return []

        loop(builder, _I64(0), n, 1, [], row)

    for first, stride, n in ((one.q, one.q_step, one.T), (one.k, one.k_step, one.S), (one.v, one.k_step, one.S)):
        ask(first, stride, n)
    for name, length in outputs:
        ask(one.own.whole(name, length), one.out_step, one.T if length == "T" else one.S)


def _call(function_of: Callable[[Any], Any], outputs: Sequence[tuple[str, str]] = ()) -> Callable[..., Any]:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, room = (builder.inttoptr(arguments[i], kind) for i, kind in ((0, _I64.as_pointer()), (2, _FLOATS)))
        _ask_for_next(_Head(builder, p, arguments[1], room), outputs)
        builder.call(function_of(builder.module), (p, arguments[1], room))
        return context.get_dummy_value()

    return build


@intrinsic
def attend_head(typing_context: Any, parameters: Any, number: Any, room: Any) -> Any:
    """out = kept ⊙ softmax(q kᵀ scale + bias) v of head `number` of all texts, where with `causal` the last query sees all
    keys, the one before one less. `parameters` and `room` are addresses, of the array and of `room_for` numbers.
    """
    return types.void(types.int64, types.int64, types.int64), _call(_head_function)


@intrinsic
def learn_head(typing_context: Any, parameters: Any, number: Any, room: Any) -> Any:
    """The gradients d_q, d_k, d_v from d_out, of the same head; with `causal`, d_k and d_v are added to what is there."""
    outputs = [("out", "T"), ("d_out", "T"), ("d_q", "T"), ("d_k", "S"), ("d_v", "S")]
    return types.void(types.int64, types.int64, types.int64), _call(_gradient_function, outputs)
