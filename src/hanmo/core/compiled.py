"""Functions that numba compiles, with one set of options."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

__all__ = ["Worker", "compiled", "compiled_worker", "is_kept"]

_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""No entrances from Python, which would double the time to compile."""

_log = logging.getLogger(__name__)


def compiled(*, fastmath: bool | set[str] = False, inner: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile for this processor at the first call, without the GIL, and keep the result on disk.

    numba takes what is on disk for old when the file of the function has changed, not when another has whose functions it
    calls: a digest of those is part of the name under which it is kept.

    Args:
        fastmath: let sums be taken in any order and NaN be nothing special, so that loops use vector instructions; or
            which of these liberties (numba's names).
        inner: only compiled functions call it: nothing is kept but in them.
    """

    def compile_function(function: Callable[..., Any]) -> Any:
        import numba

        options = _options(fastmath)
        if inner:
            return numba.njit(**options, **_INNER)(function)
        return _kept(numba.njit, function, options)

    return compile_function


class Worker:
    """A function of the address of its parameters alone, which `core.team` runs in several threads."""

    def __init__(self, function: Callable[[Any], None], fastmath: bool | set[str]):
        self._function, self._fastmath = function, fastmath

    @cached_property
    def address(self) -> int:
        """Of the machine code, made now or read from disk."""
        import numba

        compiler: Any = numba.cfunc
        signature = numba.types.void(numba.types.voidptr)
        self._compiled = _kept(partial(compiler, signature, nopython=True), self._function, _options(self._fastmath))
        return self._compiled.address


def compiled_worker(*, fastmath: bool | set[str] = False) -> Callable[[Callable[[Any], None]], Worker]:
    """Decorator: as `compiled`, for `core.team`; compiled when its address is first asked for."""
    return lambda function: Worker(function, fastmath)


def _options(fastmath: bool | set[str]) -> dict[str, Any]:
    return {"nogil": True, "error_model": "numpy", "fastmath": fastmath}


def _kept(compiler: Callable[..., Any], function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compiled so that it is kept on disk."""
    name = function.__qualname__
    function.__qualname__ = f"{name}-{_digest_of_callees(function)}"
    try:
        return compiler(cache=True, **options)(function)
    except RuntimeError as error:  # nowhere to write: neither beside the sources nor in the user's cache folder
        _log.warning("%s is compiled anew in every process (%s); set NUMBA_CACHE_DIR", name, error)
        return compiler(**options)(function)
    finally:
        function.__qualname__ = name


def is_kept(function: Any) -> bool:
    """Whether a compiled function is ready, or lies compiled on disk: if not, its first call takes seconds."""
    if function.signatures:
        return True
    plain = function.py_func
    pattern = f"*{plain.__name__}-{_digest_of_callees(plain)}-{plain.__code__.co_firstlineno}.*.nbi"
    return any(Path(function.stats.cache_path or ".").glob(pattern))


def _digest_of_callees(function: Any) -> str:
    """Of the files of this project whose functions it calls, directly or not."""
    files: set[str] = set()
    seen: set[int] = set()
    waiting = [function]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        files.add(one.__code__.co_filename)
        for name in _names(one.__code__):
            value = one.__globals__.get(name)
            # a compiled function, an intrinsic, or what an intrinsic is built with
            value = getattr(value, "py_func", None) or getattr(value, "_defn", None) or value
            if isinstance(value, FunctionType) and value.__module__.partition(".")[0] == __name__.partition(".")[0]:
                waiting.append(value)
    digests = (_digest(file) for file in sorted(files - {function.__code__.co_filename}))
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:12]


def _names(code: CodeType) -> set[str]:
    inner = (_names(const) for const in code.co_consts if isinstance(const, CodeType))
    return set(code.co_names).union(*inner)


@cache
def _digest(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
