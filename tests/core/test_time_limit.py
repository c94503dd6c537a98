"""Code that does not end is ended, in any thread, and nothing is raised afterwards."""

from __future__ import annotations

import threading
import time

import pytest

from hanmo.core.time_limit import TimeLimitError, time_limit


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_it_is_raised_in_the_block() -> None:
    with pytest.raises(TimeLimitError), time_limit(0.05):
        _spin(5)


def test_it_is_raised_in_another_thread_alone() -> None:
    found: list[str] = []

    def work() -> None:
        try:
            with time_limit(0.05):
                _spin(5)
        except TimeLimitError:
            found.append("ended")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(4)
    assert found == ["ended"]


def test_nothing_is_raised_after_the_block() -> None:
    for _ in range(50):
        with time_limit(0.01):
            pass
    _spin(0.05)
