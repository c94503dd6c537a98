"""A limit to the time that reading one record may take, for libraries that a hostile page can keep busy."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hanmo.core.errors import FormatError

__all__ = ["run_within"]

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
"""The alarm is repeated: what C code calls in Python may swallow an exception."""


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
        if not is_over and not collector.is_running:
            raise _TimeUpError

    started, collector = time.process_time(), _Collector()
    old_handler = signal.signal(signal.SIGPROF, ring)
    old_seconds, old_interval = signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN_SECONDS)
    try:
        try:
            with collector, _no_word_of_swallowed():
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


class _Collector:
    """Knows when garbage is being collected: to break off what libraries do then would leave their tables wrong."""

    def __init__(self) -> None:
        self.is_running = False

    def __enter__(self) -> None:
        gc.callbacks.insert(0, self._before)
        gc.callbacks.append(self._after)

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._before)
        gc.callbacks.remove(self._after)

    def _before(self, phase: str, info: dict[str, int]) -> None:
        self.is_running |= phase == "start"

    def _after(self, phase: str, info: dict[str, int]) -> None:
        self.is_running &= phase == "start"


@contextmanager
def _no_word_of_swallowed() -> Iterator[None]:
    """Python reports each exception that something called from C could not pass on; of ours nobody need hear."""
    report = sys.unraisablehook

    def report_others(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, _TimeUpError):
            report(unraisable)

    sys.unraisablehook = report_others
    try:
        yield
    finally:
        sys.unraisablehook = report
