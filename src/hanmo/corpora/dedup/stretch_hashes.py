"""Hashes of stretches of a sequence: polynomials modulo 2^64 (Karp & Rabin, 1987), taken from prefix sums.

Any number of stretches of any lengths costs a few array operations. Constants are fixed: every process on every machine
computes the same numbers, and arrays of them can be handed from one worker to another.
"""

from __future__ import annotations

import numpy as np

__all__ = ["StretchHashes", "mix"]


class StretchHashes:
    """Hashes of stretches of a sequence.

    Args:
        points: the sequence, (n,), unsigned integers.
        base: of the polynomials, odd; what is compared has to have the same.
    """

    def __init__(self, points: np.ndarray, base: int):
        self._powers, self._inverses = _power_tables(base, len(points) + 1)
        self._sums = np.zeros(len(points) + 1, dtype=np.uint64)
        np.cumsum((points.astype(np.uint64) + np.uint64(1)) * self._powers[: len(points)], out=self._sums[1:])

    def __call__(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Hash of each stretch [start, end), (k,), uint64; the same points give the same hash wherever they stand."""
        return mix((self._sums[ends] - self._sums[starts]) * self._inverses[starts])

    def of_width(self, width: int) -> np.ndarray:
        """Hash of every stretch of `width` points, in order, (n − width + 1,) or none, uint64."""
        n = len(self._sums) - width
        return mix((self._sums[width:] - self._sums[:n]) * self._inverses[:n]) if n > 0 else self._sums[:0]


_tables: dict[int, tuple[np.ndarray, np.ndarray]] = {}


def _power_tables(base: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """base^i and base^-i modulo 2^64 for i below `length` or more."""
    found = _tables.get(base)
    if found is None or len(found[0]) < length:
        size = 1 << (length - 1).bit_length()
        powers, inverses = np.full(size, base, np.uint64), np.full(size, pow(base, -1, 2**64), np.uint64)
        powers[0] = inverses[0] = 1
        found = _tables[base] = np.multiply.accumulate(powers), np.multiply.accumulate(inverses)
    return found


def mix(values: np.ndarray) -> np.ndarray:
    """Finalizer of splitmix64 (Steele, Lea & Flood, 2014), so that every bit of a hash depends on all that went into it.

    Works in place: `values`, uint64, are given back changed.
    """
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values
