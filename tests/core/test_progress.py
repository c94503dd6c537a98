"""Plain lines where nobody watches, a live bar in a terminal, nothing when quiet."""

from __future__ import annotations

import math
import os
import pty
import re
import select
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from hanmo.core import progress as module
from hanmo.core.progress import format_duration, is_quiet, progress, say, set_quiet


@pytest.fixture(autouse=True)
def _loud(_quiet: None) -> None:
    set_quiet(False)


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`pass_time(s)` moves the clock of the progress module by s seconds."""
    now = [1000.0]
    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: now[0]))

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.4, "0 s"), (41.6, "42 s"), (59.4, "59 s"), (59.6, "1:00"), (60, "1:00"), (187, "3:07"),
        (3599.4, "59:59"), (3599.6, "1:00:00"), (3729, "1:02:09"), (360_000, "100:00:00"), (-3, "0 s"),
        (math.inf, "?"), (math.nan, "?"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_plain_lines(capsys: pytest.CaptureFixture[str], pass_time: Callable[[float], None]) -> None:
    with progress("Encode 训练", total=400, unit="docs") as bar:
        bar.advance(50)
        pass_time(10)
        bar.advance(50, loss="2.31")
        pass_time(1)
        bar.advance(100)  # too soon for another line
        pass_time(60)
        bar.advance(200)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Encode 训练 ...",
        "Encode 训练:  25%, 100 docs, 10 docs/s, 30 s left, loss 2.31",
        "Encode 训练: 100%, 400 docs, 5.6 docs/s, 0 s left, loss 2.31",
        "Encode 训练: done, 400 docs in 1:11, loss 2.31",
    ]


def test_plain_lines_without_total_and_unit(
    capsys: pytest.CaptureFixture[str], pass_time: Callable[[float], None]
) -> None:
    with progress("Collect", unit="files") as bar:
        pass_time(100)
        bar.advance(20)
        bar.set_total(40)
        pass_time(100)
        bar.advance(0)
    with progress("Sort", unit=""):
        pass_time(2)
    assert capsys.readouterr().err.splitlines() == [
        "Collect ...",
        "Collect: 20 files, 5.0 s/file",
        "Collect:  50%, 20 files, 10.0 s/file, 3:20 left",
        "Collect: done, 20 files in 3:20",
        "Sort ...",
        "Sort: done in 2 s",
    ]


def test_a_failed_step_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with progress("Train", total=3) as bar:
            bar.advance()
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        work()
    assert capsys.readouterr().err == "Train ...\n"


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(True)
    assert is_quiet()
    say("你好")
    with progress("Train", total=3) as bar:
        bar.set_total(4)
        bar.advance(2, loss=1)
    assert capsys.readouterr() == ("", "")
    set_quiet(False)
    say("你好")
    assert capsys.readouterr() == ("", "你好\n")


def test_a_terminal_that_is_gone_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stderr", full)
        say("x")
        with progress("Train") as bar:
            bar.advance()
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            print("x", file=full)
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


_WATCHED = """
import time
from hanmo.core.progress import progress, say
with progress("Train [数据]", total=40, unit="steps") as bar:
    for step in range(40):
        bar.advance(1, loss="[/red]2.31")
        time.sleep(0.02)
    say("a line between")
with progress("Collect") as bar:
    bar.advance(3)
    with progress("inner", total=0, unit="") as inner:
        inner.set_total(2)
        inner.advance(1)
try:
    with progress("Broken", total=2) as bar:
        bar.advance(1)
        raise KeyError("gone")
except KeyError:
    say("caught")
"""


def test_a_bar_in_a_terminal() -> None:
    """Labels and values that look like rich's markup are shown as they are."""
    controller, terminal = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "PYTHONUTF8": "1"}
    child = subprocess.Popen([sys.executable, "-c", _WATCHED], stderr=terminal, stdout=subprocess.PIPE, env=environment)
    os.close(terminal)
    seen = b""
    while select.select([controller], [], [], 60)[0]:
        try:
            data = os.read(controller, 65536)
        except OSError:  # Linux: the other end was closed
            break
        if not data:
            break
        seen += data
    os.close(controller)
    out, _ = child.communicate(timeout=60)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8"))
    assert child.returncode == 0, text
    assert out == b""
    for part in ("Train [数据]", "100%", "steps/s", "loss [/red]2.31", "a line between", "Collect", "inner", "caught"):
        assert part in text, text
    assert re.search(r"Train \[数据\].*\d s left", text)
    assert not re.search(r"Broken.*100%", text)
    assert "Traceback" not in text
