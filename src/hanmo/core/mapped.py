"""Numbers that are mapped from a file take memory only while they are used."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["release"]


def release(numbers: np.ndarray, low: int = 0, high: int | None = None) -> None:
    """Give the pages of `numbers[low:high]` back, where they are mapped: they stay on disk and are read when needed."""
    pages = getattr(numbers, "_mmap", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        size = numbers.itemsize
        end = len(pages) if high is None else high * size // mmap.PAGESIZE * mmap.PAGESIZE
        start = -(-low * size // mmap.PAGESIZE) * mmap.PAGESIZE
        if end > start:
            pages.madvise(mmap.MADV_DONTNEED, start, end - start)
