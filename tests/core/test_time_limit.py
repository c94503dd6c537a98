"""Code that does not end is ended, in any thread, and nothing is raised afterwards."""

from __future__ import annotations

import threading
import time
import weakref

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


class Watched:
    """Its instances can be referred to weakly."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_is_raised_again_where_it_was_swallowed() -> None:
    ended: list[str] = []

    def clean_up(reference: object) -> None:
        _spin(0.3)
        ended.append("cleaned up")  # not reached

    def work() -> None:
        watched = Watched()
        reference = weakref.ref(watched, clean_up)
        del watched
        assert reference() is None
        _spin(5)

    started = time.monotonic()
    with pytest.raises(TimeLimitError), time_limit(0.05):
        work()
    assert time.monotonic() - started < 2
    assert not ended


def test_nothing_is_raised_after_the_block() -> None:
    for _ in range(50):
        with time_limit(0.01):
            pass
    _spin(0.05)
