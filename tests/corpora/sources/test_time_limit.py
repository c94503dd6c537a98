from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from hanmo.core.errors import FormatError
from hanmo.corpora.documents import Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.html_pages import main_text
from hanmo.corpora.sources.time_limit import run_within

PARAGRAPH = "<p>今天天气很好，我们一起去公园里走一走。</p>"


def spin(seconds: float) -> str:
    end = time.process_time() + seconds
    while time.process_time() < end:
        try:
            sum(range(10_000))
        except Exception:  # as a library may
            continue
    return "done"


def test_what_takes_too_long_is_broken_off_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGPROF)
    assert run_within(5, lambda: spin(0.01)) == "done"
    started = time.process_time()
    with pytest.raises(FormatError, match=r"more than 0\.1 s"):
        run_within(0.1, lambda: spin(5))
    assert time.process_time() - started < 2
    assert signal.getsignal(signal.SIGPROF) is before
    with pytest.raises(ZeroDivisionError):
        run_within(5, lambda: 1 / 0)


class Watched:
    """Its instances can be referred to weakly."""


def test_what_runs_while_garbage_is_collected_is_not_broken_off() -> None:
    ends: list[str] = []
    before = list(gc.callbacks)

    def clean_up(phase: str, info: dict[str, int]) -> None:
        ends.append(f"{phase} {spin(0.2)}")

    gc.callbacks.append(clean_up)
    try:
        with pytest.raises(FormatError):
            run_within(0.1, lambda: f"{gc.collect()} {spin(5)}")
    finally:
        gc.callbacks.remove(clean_up)
    assert ends[:2] == ["start done", "stop done"]
    assert gc.callbacks == before


def test_an_alarm_that_is_swallowed_is_not_reported_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: reported.append(type(one.exc_value)))
    hook = sys.unraisablehook

    def work() -> str:
        for error in (None, ZeroDivisionError):
            watched = Watched()
            end = weakref.ref(watched, lambda _, error=error: spin(0.2) if error is None else 1 / 0)
            del watched
            assert end() is None
        return spin(5)

    started = time.process_time()
    with pytest.raises(FormatError):
        run_within(0.1, work)
    assert time.process_time() - started < 2
    assert reported == [ZeroDivisionError]
    assert sys.unraisablehook is hook


def test_waiting_does_not_count() -> None:
    assert run_within(0.1, lambda: time.sleep(0.3) or "done") == "done"


def test_a_timer_that_was_set_before_goes_on() -> None:
    rung: list[float] = []
    old = signal.signal(signal.SIGPROF, lambda number, frame: rung.append(time.monotonic()))
    before = signal.setitimer(signal.ITIMER_PROF, 0.2)
    try:
        run_within(5, lambda: spin(0.3))
        assert not rung
        spin(0.1)
        assert len(rung) == 1
    finally:
        signal.signal(signal.SIGPROF, old)
        signal.setitimer(signal.ITIMER_PROF, *before)


def test_another_thread_has_no_alarm() -> None:
    results: list[str] = []
    thread = threading.Thread(target=lambda: results.append(run_within(0.05, lambda: spin(0.15))))
    thread.start()
    thread.join()
    assert results == ["done"]


def test_a_slow_page_is_skipped(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")
    main_text(PARAGRAPH)  # loads the library
    (tmp_path / "x.html").write_text(f"<html><body><article>{PARAGRAPH * 10_000}", encoding="utf-8")
    settings = CorpusSettings(max_record_seconds=0.05)
    assert list(read_file(SourceFile(tmp_path / "x.html", "x.html"), settings)) == [
        Skipped(source="x.html", reason="takes more than 0.05 s to read (max_record_seconds)")
    ]


ATTRIBUTES = " ".join(f'a{number}="{number}"' for number in range(70_000))
HOSTILE = {
    "nested": "<div>" * 50_000 + "text",
    "nested tables": "<table><tr><td>" * 5_000 + "x",
    "one line": "<p>" + "今天天气很好，我们一起去公园。" * 20_000,
    "links": "".join(f'<p><a href="/{number}">link</a> and text</p>' for number in range(100_000)),
    "attributes": f"<div {ATTRIBUTES}>text</div>",
    "attributes behind a mark": f"<p title=don't>text<div {ATTRIBUTES}>text</div>",
    "attributes behind a script": f'<script>x = "<a b=\'"</script><div {ATTRIBUTES}>text</div>',
    "attributes in a quote": f"<!-- <a b=' --><div c='>' {ATTRIBUTES}>text</div>",
    "quotes": "<a href='x" * 50_000,
    "comments": "<!--" * 200_000,
    "brackets": "<" * 1_000_000,
    "entities": '<!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + "<p>&b;" * 1_000,
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pages_end_in_time(page: str) -> None:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")
    started = time.process_time()
    try:
        main_text(f"<html><body>{page}", max_seconds=1)
    except FormatError as error:
        assert "more than" in error.what  # noqa: PT017 - some of them are read, and may be
    assert time.process_time() - started < 3


def test_a_page_with_a_long_picture_in_an_attribute_is_read() -> None:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")
    picture = f'<img alt="a picture" src="data:image/png;base64,{"abcd " * 20_000}">'
    assert "公园" in (main_text(f"<html><body><article>{picture}{PARAGRAPH * 5}</article>") or "")
