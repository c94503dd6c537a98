"""Functions that numba compiles, with one set of options."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

__all__ = ["compiled"]

_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""No entrances from Python, which would double the time to compile."""

_log = logging.getLogger(__name__)


def compiled(*, fastmath: bool = False, inner: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile for this processor at the first call, without the GIL, and keep the result on disk.

    numba takes what is on disk for old when the file of the function has changed, not when a file has whose functions it
    calls; where there are such, a closure over their digest is part of the key (see `word2vec_kernels`).

    Args:
        fastmath: let sums be taken in any order and NaN be nothing special, so that loops use vector instructions.
        inner: only compiled functions call it: nothing is kept but in them.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        import numba

        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        if inner:
            return numba.njit(**options, **_INNER)(function)
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError as error:  # nowhere to write: neither beside the sources nor in the user's cache folder
            _log.warning("%s is compiled anew in every process (%s); set NUMBA_CACHE_DIR", function.__name__, error)
            return numba.njit(**options)(function)

    return compile_function
