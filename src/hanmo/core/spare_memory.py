"""Memory of the C library that a training step frees and the next one wants again.

glibc asks the system for every block above 32 MiB (the gradient of a token table, the scores of a vocabulary) and gives it back at
once, so that each step pays for new pages of zeros. And blocks of ever other sizes, as batches of texts make them, leave gaps in what
it keeps: a training that uses 0.9 GB has been seen to hold 6.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from functools import cache
from typing import Any, Self

__all__ = ["SpareMemory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Parameters of mallopt(3)."""
_LARGEST = 2**31 - 1
_USUAL = ((_MMAP_MAX, 65536), (_MMAP_THRESHOLD, 32 * 2**20), (_TRIM_THRESHOLD, 64 * 2**20))
"""What glibc does by itself after some large blocks have been freed."""


class SpareMemory:
    """While the block runs, freed memory stays with the process, and what lies unused between blocks goes back every so often.

    With another C library than glibc nothing is done, nor where the environment settles it (`MALLOC_…_`, `GLIBC_TUNABLES`).
    """

    def __init__(self, every: float = 30.0):
        """Args:
        every: seconds from one return to the next.
        """
        self._every, self._last = every, 0.0

    def __enter__(self) -> Self:
        self._last = time.monotonic()
        if (library := _glibc()) is not None:
            library.mallopt(_MMAP_MAX, 0)
            library.mallopt(_TRIM_THRESHOLD, _LARGEST)
        return self

    def __exit__(self, *_: object) -> None:
        if (library := _glibc()) is not None:
            for parameter, value in _USUAL:
                library.mallopt(parameter, value)
            library.malloc_trim(0)

    def settle(self) -> None:
        """To be called between steps: give back what is not used, if it is time (some hundredths of a second)."""
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        if (library := _glibc()) is not None:
            library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The library of this process, or None if it is another one or has been set by the user."""
    is_set = any(name == "GLIBC_TUNABLES" or (name.startswith("MALLOC_") and name.endswith("_")) for name in os.environ)
    if is_set or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
