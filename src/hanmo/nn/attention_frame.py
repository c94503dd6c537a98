"""What all steps of attention on a CPU share: registers and blocks, and the parameters of a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from hanmo.core.llvm import loop, splat

__all__ = [
    "BLOCK", "F32", "FLOATS", "I32", "I64", "INDICES", "PARAMETERS", "ROWS", "STRETCH", "VECTOR", "WIDTH", "Parameters",
    "behind", "least_of", "over_columns", "up_to_registers",
]  # fmt: skip

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
    "first", "second", "least", "factor",  # dropout: see `draw`; the bits of a float32
)  # fmt: skip
"""int64 each."""

I64, I32, F32 = ir.IntType(64), ir.IntType(32), ir.FloatType()
FLOATS = F32.as_pointer()
_WIDE = bool(llvm.get_host_cpu_features().get("avx512f"))
WIDTH = 16 if _WIDE else 8
"""Lanes of a register."""
BLOCK = 8 if _WIDE else 4
"""Queries that are computed together."""
DEEP = 3 if _WIDE else 2
"""Registers of a query that are held at once: BLOCK × DEEP sums, and what is multiplied, fill all registers."""
STRETCH = 4 * BLOCK
"""Queries whose gradients reach the keys together."""
VECTOR, INDICES = ir.VectorType(F32, WIDTH), ir.VectorType(I32, WIDTH)
ROWS = [I64(r) for r in range(BLOCK)]


def least_of(builder: Any, a: Any, b: Any) -> Any:
    """The lesser of two int64."""
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def up_to_registers(builder: Any, n: Any) -> Any:
    """`n` up to a multiple of WIDTH."""
    return builder.and_(builder.add(n, I64(WIDTH - 1)), I64(-WIDTH))


def behind(builder: Any, start: Any, index: Any, stride: Any) -> Any:
    """Where row `index` begins."""
    return builder.gep(start, [builder.mul(index, stride)])


def over_columns(builder: Any, columns: Any, emit: Callable[[Any, int], None]) -> None:
    """Calls `emit(start, deep)` over all columns, a multiple of WIDTH: as many registers at once as there is room for."""
    start: Any = I64(0)
    for deep in range(DEEP, 0, -1):
        left = builder.sub(columns, start)
        stop = builder.add(start, builder.sub(left, builder.srem(left, I64(deep * WIDTH))))

        def body(c: Any, _: list[Any], deep: int = deep) -> list[Any]:
            emit(c, deep)
            return []

        loop(builder, start, stop, deep * WIDTH, [], body)
        start = stop


class Parameters:
    """Those of a call, from the array `p`."""

    def __init__(self, builder: Any, p: Any):
        self.builder, self.p = builder, p

    def __getitem__(self, name: str) -> Any:
        return self.builder.load(self.builder.gep(self.p, [I64(PARAMETERS.index(name))]))

    def number(self, name: str) -> Any:
        """A float32."""
        return self.builder.bitcast(self.builder.trunc(self[name], I32), F32)

    def pointer(self, name: str, offset: Any) -> Any:
        """An address, and so many numbers on."""
        return self.builder.gep(self.builder.inttoptr(self[name], FLOATS), [offset])

    def draw(self) -> list[Any]:
        """For dropout: two keys, what is dropped (see `attention_steps`), and the factor of the rest."""
        builder = self.builder
        integers = [splat(builder, builder.trunc(self[name], I32), WIDTH) for name in ("first", "second", "least")]
        return [*integers, splat(builder, self.number("factor"), WIDTH)]
