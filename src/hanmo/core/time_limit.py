"""An end to Python code that does not end by itself, in any thread."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

__all__ = ["TimeLimitError", "time_limit"]


class TimeLimitError(BaseException):
    """The time is over. Not an `Exception`, so that code under the limit does not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` inside the block when it takes longer.

    It is raised between two steps of Python code: one call of a compiled function is not interrupted.

    Args:
        seconds: of wall-clock time.
    """
    thread, lock = threading.get_ident(), threading.Lock()
    is_over = False

    def raise_there() -> None:
        with lock:
            if not is_over:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeLimitError))

    watch = threading.Timer(seconds, raise_there)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        with lock:
            is_over = True
        watch.cancel()
