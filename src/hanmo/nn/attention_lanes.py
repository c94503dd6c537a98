"""Attention of one head and its gradient, written directly for the processor's vector units.

The scores of a block of queries stay in the cache nearest to the processor from the product with the keys to the product
with the values. They are not kept for the gradient, which computes them again (Dao et al., 2022, algorithm 4). Nothing
depends on how many padded keys there are: a text has the same bits alone and in a batch.

Names: T queries, S keys, K d_head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba.extending
from numba import types

from hanmo.core.llvm import function, loop, prefetch_line
from hanmo.nn.attention_frame import (
    BLOCK,
    F32,
    FLOATS,
    I64,
    ROWS,
    STRETCH,
    WIDTH,
    Parameters,
    behind,
    least_of,
    over_columns,
    up_to_registers,
)
from hanmo.nn.attention_steps import (
    clear_function,
    dots_function,
    drop_function,
    errors_function,
    gather_function,
    product_function,
    softmax_function,
    turn_function,
)

__all__ = ["attend_head", "learn_head", "room_for"]

# An intrinsic is called with other arguments than it is written with: to type checkers it is Any.
intrinsic: Any = numba.extending.intrinsic

_LINE = 16
"""Numbers of a cache line."""


def room_for(columns: int, K: int, learns: bool) -> int:
    """Numbers that a thread needs room for."""
    small, keys = 5 * BLOCK, columns * K
    return small + (3 * keys + 2 * STRETCH * columns if learns else 2 * keys + BLOCK * columns)


class _Head:
    """What forward and gradient of the head with number `number` have in common."""

    def __init__(self, builder: Any, p: Any, number: Any, room: Any):
        self.builder, self.module, self.number = builder, builder.module, number
        self.own = own = Parameters(builder, p)
        self.T, self.S, self.K, self.columns, self.n_heads = (
            own[name] for name in ("T", "S", "K", "columns", "n_heads")
        )
        self.text, self.head = builder.sdiv(number, self.n_heads), builder.srem(number, self.n_heads)
        key_head = builder.sdiv(self.head, own["group"])
        self.q, self.q_step = self._of_text("q", "q", self.head), own["q_step"]
        self.k, self.v = (self._of_text(name, "k", key_head) for name in ("k", "v"))
        self.k_step = own["k_step"]
        self.bias = own.pointer("bias", builder.mul(self.text, self.columns))
        self.stats = own.pointer("stats", builder.mul(builder.mul(number, self.T), I64(2)))
        self.out_step = builder.mul(self.n_heads, self.K)
        self.is_causal = builder.icmp_signed("!=", own["causal"], I64(0))
        self.scales, self.ones, self.tops, self.inverses, self.dots = (
            builder.gep(room, [I64(i * BLOCK)]) for i in range(5)
        )
        self.room = builder.gep(room, [I64(5 * BLOCK)])
        scale = builder.fmul(own.number("scale"), F32(1 / math.log(2)))  # powers of 2 instead of e
        for r in ROWS:
            builder.store(scale, builder.gep(self.scales, [r]))
            builder.store(F32(1.0), builder.gep(self.ones, [r]))

    def _of_text(self, name: str, kind: str, head: Any) -> Any:
        """First number of a head of this text, with strides of its own."""
        own, builder = self.own, self.builder
        offset = builder.add(builder.mul(self.text, own[f"{kind}_row"]), builder.mul(head, own[f"{kind}_head"]))
        return own.pointer(name, offset)

    def whole(self, name: str, length: Any) -> Any:
        """First number of this head of this text in (B, length, H, K)."""
        builder = self.builder
        texts = builder.mul(builder.mul(self.text, length), self.n_heads)
        return self.own.pointer(name, builder.mul(builder.add(texts, self.head), self.K))

    def take(self, n: Any) -> Any:
        """Room for so many numbers."""
        taken, self.room = self.room, self.builder.gep(self.room, [n])
        return taken

    def queries(self, t: Any) -> tuple[Any, Any, Any, Any]:
        """Of the block from `t` on: how many there are, keys that the first and that any sees, and these up to whole registers."""
        builder = self.builder
        n = least_of(builder, builder.sub(self.T, t), I64(BLOCK))
        first = self.seen_by(t)
        most = least_of(builder, builder.add(first, builder.sub(n, I64(1))), self.S)
        return n, first, most, up_to_registers(builder, most)

    def seen_by(self, t: Any) -> Any:
        """How many keys a query sees."""
        builder = self.builder
        return builder.select(self.is_causal, builder.add(builder.sub(self.S, self.T), builder.add(t, I64(1))), self.S)

    def times_panels(self, a: Any, a_step: Any, panels: Any, out: Any, factors: Any, n: Any, columns: Any) -> None:
        """Rows of a block times turned rows: (BLOCK, columns)."""
        builder = self.builder

        def some(c: Any, deep: int) -> None:
            panel, place = behind(builder, panels, c, self.K), builder.gep(out, [c])
            places = (a, a_step, I64(1), panel, I64(WIDTH), builder.mul(self.K, I64(WIDTH)), place, self.columns)
            builder.call(product_function(self.module, deep), (*places, factors, n, I64(BLOCK), self.K))

        over_columns(builder, columns, some)

    def times_rows(self, a: Any, rows: Any, out: Any, out_step: Any, factors: Any, n: Any, size: Any) -> None:
        """(BLOCK, columns) times rows that lie after each other: n rows of K."""
        builder = self.builder

        def some(c: Any, deep: int) -> None:
            place, one = builder.gep(out, [c]), builder.gep(rows, [c])
            places = (a, self.columns, I64(1), one, self.K, I64(WIDTH), place, out_step, factors)
            builder.call(product_function(self.module, deep), (*places, I64(BLOCK), n, size))

        over_columns(builder, self.K, some)

    def first_weight(self, t: Any) -> Any:
        """Number of the first weight of a query: counts over all texts, heads, queries and keys."""
        builder = self.builder
        return builder.mul(builder.add(builder.mul(self.number, self.T), t), self.columns)

    def ask_for_next(self, queries: Sequence[Any], keys: Sequence[Any]) -> None:
        """Prefetch what lies behind the rows of this head, those of the next one: too far apart to be foreseen.

        Besides q, k and v: arrays like the output for queries and for keys.
        """
        builder = self.builder
        rows = [(self.q, self.q_step, self.T), (self.k, self.k_step, self.S), (self.v, self.k_step, self.S)]
        rows += [(x, self.out_step, self.T) for x in queries] + [(x, self.out_step, self.S) for x in keys]
        for first, stride, n in rows:

            def row(i: Any, _: list[Any], first: Any = first, stride: Any = stride) -> list[Any]:
                start = builder.gep(first, [builder.add(builder.mul(i, stride), self.K)])

                def line(c: Any, _: list[Any]) -> list[Any]:
                    prefetch_line(builder, start, c)
                    return []

                loop(builder, I64(0), self.K, _LINE, [], line)
                return []

            loop(builder, I64(0), n, 1, [], row)


def _head_function(module: Any) -> Any:
    head, builder = function(module, "hanmo_attention_head", [I64.as_pointer(), I64, FLOATS])
    if builder is None:
        return head
    p, number, room = head.args
    one = _Head(builder, p, number, room)
    keys = builder.mul(one.columns, one.K)
    turned, values, scores = one.take(keys), one.take(keys), one.room
    builder.call(turn_function(module), (one.k, one.k_step, turned, one.S, one.K))
    builder.call(gather_function(module), (one.v, one.k_step, values, one.S, one.K))
    out = one.whole("out", one.T)
    one.ask_for_next([], [])
    drops = builder.icmp_unsigned(">", one.own["least"], I64(0))
    keeps = builder.icmp_signed("!=", one.own["stats"], I64(0))

    def block(t: Any, _: list[Any]) -> list[Any]:
        n, first, most, some = one.queries(t)
        one.times_panels(behind(builder, one.q, t, one.q_step), one.q_step, turned, scores, one.scales, n, some)
        weighed = (scores, one.columns, one.bias, one.tops, one.inverses, some, first, n)
        builder.call(softmax_function(module), weighed)
        with builder.if_then(keeps):
            kept = behind(builder, one.stats, t, I64(2))

            def keep(r: Any, _: list[Any]) -> list[Any]:
                for i, numbers in enumerate((one.tops, one.inverses)):
                    place = builder.add(builder.mul(r, I64(2)), I64(i))
                    builder.store(builder.load(builder.gep(numbers, [r])), builder.gep(kept, [place]))
                return []

            loop(builder, I64(0), n, 1, [], keep)
        with builder.if_then(drops):
            builder.call(drop_function(module), (scores, one.columns, some, n, one.first_weight(t), p))
        one.times_rows(scores, values, behind(builder, out, t, one.out_step), one.out_step, one.inverses, n, most)
        return []

    loop(builder, I64(0), one.T, BLOCK, [], block)
    builder.ret_void()
    return head


def _gradient_function(module: Any) -> Any:
    head, builder = function(module, "hanmo_attention_gradient", [I64.as_pointer(), I64, FLOATS])
    if builder is None:
        return head
    p, number, room = head.args
    one = _Head(builder, p, number, room)
    keys, some_rows = builder.mul(one.columns, one.K), builder.mul(one.columns, I64(STRETCH))
    turned, turned_values, rows = one.take(keys), one.take(keys), one.take(keys)
    weights, errors = one.take(some_rows), one.take(some_rows)
    builder.call(turn_function(module), (one.k, one.k_step, turned, one.S, one.K))
    builder.call(turn_function(module), (one.v, one.k_step, turned_values, one.S, one.K))
    builder.call(gather_function(module), (one.k, one.k_step, rows, one.S, one.K))
    out, d_out, d_q = (one.whole(name, one.T) for name in ("out", "d_out", "d_q"))
    d_k, d_v = (one.whole(name, one.S) for name in ("d_k", "d_v"))
    one.ask_for_next((out, d_out, d_q), (d_k, d_v))

    def stretch(t: Any, _: list[Any]) -> list[Any]:
        end = least_of(builder, one.T, builder.add(t, I64(STRETCH)))
        seen = one.seen_by(builder.sub(end, I64(1)))
        widest = up_to_registers(builder, seen)

        def block(i: Any, _: list[Any]) -> list[Any]:
            n, first, most, some = one.queries(i)
            start = builder.mul(builder.sub(i, t), one.columns)
            scores, gradients = builder.gep(weights, [start]), builder.gep(errors, [start])
            outs, d_outs = (behind(builder, x, i, one.out_step) for x in (out, d_out))
            queries = behind(builder, one.q, i, one.q_step)
            one.times_panels(queries, one.q_step, turned, scores, one.scales, n, some)
            one.times_panels(d_outs, one.out_step, turned_values, gradients, one.ones, n, some)
            builder.call(dots_function(module), (outs, d_outs, one.out_step, one.dots, n, one.K))
            known = (one.bias, behind(builder, one.stats, i, I64(2)), one.dots, some, first, n, one.first_weight(i), p)
            builder.call(errors_function(module), (scores, gradients, one.columns, *known))
            place = behind(builder, d_q, i, one.out_step)
            one.times_rows(gradients, rows, place, one.out_step, one.ones, n, most)
            builder.call(clear_function(module), (scores, gradients, one.columns, some, widest))
            return []

        loop(builder, t, end, BLOCK, [], block)
        n = builder.sub(end, t)
        # the first stretch reaches all keys, unless it is causal
        fresh = builder.and_(builder.icmp_signed("==", t, I64(0)), builder.not_(one.is_causal))
        for a, b, b_step, place in (
            (errors, behind(builder, one.q, t, one.q_step), one.q_step, d_k),
            (weights, behind(builder, d_out, t, one.out_step), one.out_step, d_v),
        ):

            def some_keys(
                s: Any, _: list[Any], a: Any = a, b: Any = b, step: Any = b_step, place: Any = place
            ) -> list[Any]:
                here = least_of(builder, builder.sub(seen, s), I64(BLOCK))

                def some(c: Any, deep: int) -> None:
                    target = builder.gep(behind(builder, place, s, one.out_step), [c])
                    places = (builder.gep(a, [s]), I64(1), one.columns, builder.gep(b, [c]), step, I64(WIDTH), target)
                    sizes = (one.out_step, one.ones, here, here, n)
                    with builder.if_else(fresh) as (yes, no):
                        with yes:
                            builder.call(product_function(module, deep), (*places, *sizes))
                        with no:
                            builder.call(product_function(module, deep, add=True), (*places, *sizes))

                over_columns(builder, one.K, some)
                return []

            loop(builder, I64(0), seen, BLOCK, [], some_keys)
        return []

    loop(builder, I64(0), one.T, STRETCH, [], stretch)
    builder.ret_void()
    return head


def _call(function_of: Callable[[Any], Any]) -> tuple[Any, Callable[..., Any]]:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        p, room = (builder.inttoptr(arguments[i], kind) for i, kind in ((0, I64.as_pointer()), (2, FLOATS)))
        builder.call(function_of(builder.module), (p, arguments[1], room))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), build


@intrinsic
def attend_head(typing_context: Any, parameters: Any, number: Any, room: Any) -> Any:
    """out = kept ⊙ softmax(q kᵀ scale + bias) v of head `number` of all texts, where with `causal` the last query sees all
    keys, the one before one less. `parameters` and `room` are addresses, of the array and of `room_for` numbers.
    """
    return _call(_head_function)


@intrinsic
def learn_head(typing_context: Any, parameters: Any, number: Any, room: Any) -> Any:
    """The gradients d_q, d_k, d_v from d_out, of the same head; with `causal`, d_k and d_v are added to what is there."""
    return _call(_gradient_function)
