"""SIGTERM and Ctrl-C: finish the running step, save, leave."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from hanmo.core.progress import is_quiet

__all__ = ["Interrupted", "Interrupts"]


class Interrupted(BaseException):
    """Ends work that can be done again (an evaluation) when a signal asks training to stop."""


class Interrupts:
    """While the block runs, the first SIGTERM or SIGINT sets `signal_name`; a second Ctrl-C aborts at once.

    Outside the main thread Python allows no handlers: then nothing is caught, and the signals do what they did.
    """

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._abortable = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python and cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal_name = signal.Signals(number).name
        if not is_quiet():
            # print() is not reentrant: the signal may have come in the middle of one
            os.write(2, f"\n{self.signal_name}: finishing this step, then saving. Ctrl-C again aborts.\n".encode())
        if self._abortable:
            raise Interrupted

    @contextlib.contextmanager
    def abortable(self) -> Iterator[None]:
        """A signal ends the block at once with `Interrupted`, because what it does can be done again."""
        try:
            self._abortable = True
            if self.signal_name is not None:
                raise Interrupted
            yield
        finally:
            self._abortable = False
