"""An end to Python code that does not end by itself, in any thread."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

__all__ = ["TimeLimitError", "time_limit"]

_AGAIN_SECONDS = 0.05
"""It is raised again: what compiled code calls in Python (when garbage is collected, say) swallows exceptions."""


class TimeLimitError(BaseException):
    """The time is over. Not an `Exception`, so that code under the limit does not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` inside the block when it takes longer.

    It is raised between two steps of Python code: one call of a compiled function is not interrupted.

    Args:
        seconds: of wall-clock time.
    """
    thread, lock, finished, is_over = threading.get_ident(), threading.Lock(), threading.Lock(), False
    finished.acquire()

    def watch() -> None:
        wait = seconds
        while not finished.acquire(timeout=wait):
            wait = _AGAIN_SECONDS
            with lock:
                if is_over:
                    return
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeLimitError))

    threading.Thread(target=watch, daemon=True, name="time limit").start()
    try:
        yield
    finally:
        is_over = True  # at once: before anything that a second one could break off
        with lock:
            finished.release()
