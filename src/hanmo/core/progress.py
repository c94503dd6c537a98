"""Progress with speed and time left: a live bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

__all__ = ["Bar", "format_duration", "is_quiet", "progress", "say", "set_quiet"]

_PLAIN_INTERVAL = 5.0
"""Seconds between two plain lines of the same bar."""

_quiet = False


class Bar(Protocol):
    """What a step reports its advance to."""

    def advance(self, n: float = 1, **info: object) -> None:
        """Add `n` units; `info` is shown behind the bar (loss=2.31)."""

    def set_total(self, total: float) -> None:
        """Say how many units there are, once that is known."""


def set_quiet(quiet: bool) -> None:
    """Switch all progress output off or on (for `--json` and tests)."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether progress output is switched off."""
    return _quiet


def say(text: str) -> None:
    """Print one line for people on standard error, unless quiet."""
    if not _quiet:
        _print(text)


def _print(text: str) -> None:
    # a closed terminal or a full disk under the log must not end hours of work
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def format_duration(seconds: float) -> str:
    """`42 s`, `3:07` or `1:02:09`; `?` for what is not finite."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextlib.contextmanager
def progress(label: str, total: float | None = None, unit: str = "it") -> Iterator[Bar]:
    """Show the progress of one step on standard error.

    Args:
        label: what is being done ("Train tokenizer").
        total: number of units, if known.
        unit: name of a unit ("docs", "tokens"); "" hides the count.
    """
    if _quiet:
        yield _SilentBar()
    elif sys.stderr.isatty():
        with _rich_bar(label, total, unit) as bar:
            yield bar
    else:
        bar = _PlainBar(label, total, unit)
        yield bar
        bar.finish()


def _format_speed(rate: float, unit: str) -> str:
    """`1,234 docs/s`, or `2.5 s/text` where a unit takes longer than a second."""
    if 0 < rate < 1:
        return f"{1 / rate:,.1f} s/{unit.removesuffix('s')}"
    return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.1f} {unit}/s"


class _SilentBar:
    def advance(self, n: float = 1, **info: object) -> None: ...

    def set_total(self, total: float) -> None: ...


class _PlainBar:
    def __init__(self, label: str, total: float | None, unit: str):
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.info: dict[str, object] = {}
        self.start = self.last = time.monotonic()
        _print(f"{label} ...")

    def set_total(self, total: float) -> None:
        self.total = total

    def advance(self, n: float = 1, **info: object) -> None:
        self.done += n
        self.info.update(info)
        now = time.monotonic()
        if now - self.last >= _PLAIN_INTERVAL:
            self.last = now
            _print(self._line(now))

    def _line(self, now: float) -> str:
        seconds = max(now - self.start, 1e-9)
        rate = self.done / seconds
        parts = []
        if self.total:
            parts.append(f"{self.done / self.total:4.0%}")
        if self.unit:
            parts.append(f"{self.done:,.0f} {self.unit}")
            parts.append(_format_speed(rate, self.unit))
        if self.total and rate > 0:
            parts.append(f"{format_duration(max(self.total - self.done, 0) / rate)} left")
        parts += [f"{key} {value}" for key, value in self.info.items()]
        return f"{self.label}: {', '.join(parts)}"

    def finish(self) -> None:
        now = time.monotonic()
        tail = "".join(f", {key} {value}" for key, value in self.info.items())
        count = f", {self.done:,.0f} {self.unit}" if self.unit and self.done else ""
        _print(f"{self.label}: done{count} in {format_duration(now - self.start)}{tail}")


@contextlib.contextmanager
def _rich_bar(label: str, total: float | None, unit: str) -> Iterator[Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskProgressColumn, TextColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            speed = task.finished_speed or task.speed or 0
            return Text(_format_speed(speed, unit) if unit else "", style="cyan")

    class Left(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Any) -> Text:
            if task.finished or not task.total:
                return Text(format_duration(task.elapsed or 0), style="dim")
            left = task.time_remaining
            return Text(f"{format_duration(left)} left" if left is not None else "", style="dim")

    columns = [
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TaskProgressColumn(),
        Speed(),
        Left(),
        TextColumn("{task.fields[info]}", style="dim", markup=False),
    ]
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=6, speed_estimate_period=20) as live:
        task = live.add_task(f"{label:<24}", total=total, info="")

        class RichBar:
            def __init__(self) -> None:
                self.info: dict[str, object] = {}

            def set_total(self, total: float) -> None:
                live.update(task, total=total)

            def advance(self, n: float = 1, **info: object) -> None:
                self.info.update(info)
                live.update(task, advance=n, info="  ".join(f"{key} {value}" for key, value in self.info.items()))

        bar = RichBar()
        yield bar
        shown = live.tasks[0]
        live.update(task, total=shown.completed or 1, completed=shown.completed or 1)
