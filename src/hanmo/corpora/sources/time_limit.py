"""A limit to the time that reading one record may take, for libraries that a hostile page can keep busy."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from hanmo.core.errors import FormatError

__all__ = ["run_within"]

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
"""The alarm is repeated: where C code calls back into Python, an exception may be swallowed."""


class _TimeUpError(BaseException):
    """No `Exception`, which libraries catch."""


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Run `work`, and break it off when its time is up.

    What counts is the time of the processor, so that the same pages are skipped on a machine that has other things to do.
    The clock is SIGPROF, which Python gives to the main thread alone: there, and so in worker processes, `work` ends
    as soon as the C function that it is in returns. In another thread, or without SIGPROF (Windows), it runs to its
    end; the limits on bytes hold there as well. A timer that was set before goes on afterwards.

    Args:
        seconds: of processor time of this process.
        work: what to run.

    Raises:
        FormatError: if the time is up.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return work()
    is_over = False

    def ring(number: int, frame: object) -> None:
        if not is_over:
            raise _TimeUpError

    started = time.process_time()
    old_handler = signal.signal(signal.SIGPROF, ring)
    old_seconds, old_interval = signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN_SECONDS)
    try:
        try:
            return work()
        finally:
            is_over = True
    except _TimeUpError:
        is_over = True
        raise FormatError(f"takes more than {seconds:g} s to read (max_record_seconds)") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL if old_handler is None else old_handler)
        if old_seconds:
            rest = max(old_seconds - (time.process_time() - started), 0.001)
            signal.setitimer(signal.ITIMER_PROF, rest, old_interval)
