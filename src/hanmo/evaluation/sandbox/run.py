"""Start a program in one jail and its tests in another, and wait for the verdict."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hanmo.core.errors import HanmoError

__all__ = ["Limits", "ProgramTests", "SandboxError", "Verdict", "check_isolation", "require_isolation", "run_tests"]

_JAIL = Path(__file__).with_name("jail.py")
_MOST = 1 << 16


class SandboxError(HanmoError, RuntimeError):
    """This machine does not shut programs in as it should; nothing was run."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a program may use."""

    seconds: float = 10.0
    """From the start of its process to the verdict."""
    memory_bytes: int = 512 << 20
    """Of each process; all `processes` together may take as many times that."""
    file_bytes: int = 16 << 20
    """Of all files together; they are in memory."""
    processes: int = 8
    """Processes and threads at a time."""
    open_files: int = 64
    """At a time."""


@dataclass(frozen=True, kw_only=True)
class ProgramTests:
    """What a program is asked."""

    before: str = ""
    """Source that the tests need and the program does not replace: imports, helpers."""
    called: tuple[str, ...]
    """Functions of the program that the tests call."""
    code: str
    """Source; an exception is a failure."""


@dataclass(frozen=True)
class Verdict:
    """What came of a program."""

    passed: bool
    """Whether all tests did."""
    reason: str
    """"passed", or why not."""
    seconds: float
    """From start to end."""


def run_tests(program: str, tests: ProgramTests, limits: Limits | None = None, *, isolated: bool = True) -> Verdict:
    """Run a program, and tests that call its functions; each shut in, neither within reach of the other.

    Arguments and results cross from one process to the other and must be plain values (`exchange.encode`): a program that
    returns an object of a class of its own fails, and what it does to its arguments is not seen by the tests.

    Args:
        program: Python source that nobody needs to trust.
        tests: what is asked of it.
        limits: of each of the two; the defaults of `Limits` if None.
        isolated: False runs without namespaces, only with limits: for programs that you would run without any of this.

    Raises:
        SandboxError: if this machine cannot shut it in.
    """
    limits = Limits() if limits is None else limits
    if isolated:
        require_isolation()
    return _run(program, tests, limits, isolated)


def require_isolation() -> None:
    """Make sure that programs can be shut in here.

    Raises:
        SandboxError: says what is missing.
    """
    if (missing := check_isolation()) is not None:
        raise SandboxError(
            f"this machine cannot shut programs in ({missing})", where="sandbox",
            remedy="Use Linux 5.12 or newer with user namespaces, or as root outside of a container; or, for programs "
            "that you trust, run without isolation.",
        )  # fmt: skip


@cache
def check_isolation() -> str | None:
    """Try it on a program that does nothing: None if it works, else what is missing."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} has no namespaces"
    try:
        verdict = _run(
            "def f(): return 1", ProgramTests(called=("f",), code="assert f() == 1"), Limits(seconds=30), True
        )
    except SandboxError as error:
        return error.what
    return None if verdict.passed else verdict.reason


def _run(program: str, tests: ProgramTests, limits: Limits, isolated: bool) -> Verdict:
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        asked, asks = stack.enter_context(_pipe())
        answered, answers = stack.enter_context(_pipe())
        verdict, judges = stack.enter_context(_pipe())
        served = {"program": program, "asked": asked.fileno(), "answers": answers.fileno()}
        judged = {
            "before": tests.before, "called": tests.called, "tests": tests.code,
            "asks": asks.fileno(), "answered": answered.fileno(), "verdict": judges.fileno(),
        }  # fmt: skip
        jails = [
            stack.enter_context(_jail("serve", served, (asked, answers), limits, isolated)),
            stack.enter_context(_jail("judge", judged, (asks, answered, judges), limits, isolated)),
        ]
        for mine in (asked, asks, answered, answers, judges):
            mine.close()
        told = _read_line(verdict.fileno(), start + limits.seconds)
        seconds = time.monotonic() - start
        problems = [_end(jail) for jail in jails]
    for problem in problems:
        if problem:
            raise SandboxError(problem, where="sandbox")
    if told is None:
        late = seconds >= limits.seconds
        return Verdict(False, f"no verdict within {limits.seconds:g} s" if late else "the tests ended early", seconds)
    return Verdict(bool(told["passed"]), str(told["reason"]), seconds)


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[Any, Any]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as first, os.fdopen(writing, "wb", buffering=0) as second:
        yield first, second


@contextlib.contextmanager
def _jail(
    call: str, arguments: dict[str, Any], pipes: Sequence[Any], limits: Limits, isolated: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that goes to its cell and does `call`; killed with all it has started when the block ends."""
    keep = [pipe.fileno() for pipe in pipes]
    with tempfile.TemporaryDirectory(prefix="hanmo-jail-", ignore_cleanup_errors=True) as room:
        order = {
            "call": call, "arguments": arguments, "keep": keep, "room": room, "isolate": isolated,
            "parent": os.getpid(),
            "limits": {
                "memory_bytes": limits.memory_bytes, "cpu_seconds": math.ceil(limits.seconds) + 1,
                "file_bytes": limits.file_bytes, "processes": limits.processes, "open_files": limits.open_files,
            },
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_JAIL)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            cwd="/", env={}, pass_fds=keep, start_new_session=True,
        )  # fmt: skip
        try:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write(json.dumps(order).encode())
            yield process
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end(process: subprocess.Popen[bytes]) -> str:
    """End it; returns why it could not be shut in, empty if it could."""
    _kill(process)
    assert process.stderr is not None
    with process.stderr:
        ready, _, _ = select.select([process.stderr], [], [], 1.0)
        return os.read(process.stderr.fileno(), _MOST).decode(errors="replace") if ready else ""


def _read_line(file: int, until: float) -> dict[str, Any] | None:
    held = b""
    while not held.endswith(b"\n") and len(held) < _MOST:
        ready, _, _ = select.select([file], [], [], max(0.0, until - time.monotonic()))
        chunk = os.read(file, _MOST) if ready else b""
        if not chunk:
            return None
        held += chunk
    return json.loads(held)
