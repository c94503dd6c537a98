"""What every story has: a run folder that records what happens, stages that are done once, an end that is told."""

from __future__ import annotations

import errno
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from hanmo.core.errors import ConfigError, HanmoError, storage_error
from hanmo.core.machine import EnergyMeter, describe_machine
from hanmo.core.progress import say
from hanmo.core.runs import RunFolder
from hanmo.core.settings import Settings
from hanmo.core.toml import to_toml
from hanmo.stories.versions import library_versions

__all__ = ["Story", "now"]

RecipeT = TypeVar("RecipeT", bound=Settings)
ResultT = TypeVar("ResultT")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""The disk is at fault wherever these come from, be it a library's own temporary file."""


class Story(ABC, Generic[RecipeT, ResultT]):
    """A recipe being carried out in a run folder. A kind of story says what its stages are, and how its record is read."""

    lasting: tuple[str, ...] = ()
    """Stages whose results a resumed run takes as they are."""

    def __init__(self, recipe: RecipeT, run: RunFolder, resume: bool):
        self.recipe, self.run, self.resume = recipe, run, resume
        self.home = run.path
        """The folder that a user resumes: of a story within a story, that of the outer one."""
        self.started = time.monotonic()
        self.energy = EnergyMeter()
        self.stages: list[dict[str, Any]] = []
        self.seconds_before = 0.0
        self.energy_before: dict[str, Any] = {}

    @abstractmethod
    def tell(self) -> ResultT:
        """All stages, in order."""

    @abstractmethod
    def recorded(self) -> ResultT | None:
        """The result of a run that is already finished."""

    def carry_out(self, command: str | None) -> ResultT:
        """Tell the story, and leave a record of how it ended.

        Args:
            command: what the user typed, for the record.

        Raises:
            ConfigError: if the recipe is not the one of the run to resume; names the differences. The run stays as it is.
            HanmoError: whatever goes wrong, with place and remedy; run.json then says "failed" and why.
        """
        if self.resume:
            self._check_same_recipe()
            done = self.recorded()
            if done is not None:
                say(f"{self.run.path}: this run is already finished; nothing to do.")
                return done
        try:
            with _terminable():
                self._open(command)
                return self.tell()
        except KeyboardInterrupt:
            self.close("interrupted", None)
            say(
                f"Interrupted. What is done is in {self.run.path}; go on with the same command and --out {self.home} --resume."
            )
            raise
        except Exception as error:  # one of ours or not: the record says why, and the caller sees the error itself
            if isinstance(error, OSError) and not isinstance(error, HanmoError) and error.errno in _NO_ROOM:
                error = storage_error(error, error.filename or self.run.path)
            self.close("failed", str(error) or type(error).__name__)
            raise error

    def close(self, status: str, error: str | None) -> None:
        """Leave a record of how the session ended, if the disk lets us."""
        try:
            self.run.record(
                status=status, error=error, finished=now(), seconds=self.seconds(), stages=self.stages,
                energy=self.energy_used(),
            )  # fmt: skip
        except (HanmoError, OSError):
            say(f"(run.json in {self.run.path} could not be updated)")

    def energy_used(self) -> dict[str, Any]:
        """Of all sessions that could say how much they used; one that was killed could not."""
        energy = asdict(self.energy.read())
        for key in ("kwh", "co2_kg"):
            energy[key] += self.energy_before.get(key) or 0.0
        return energy

    def seconds(self) -> float:
        """Wall time of all sessions."""
        return self.seconds_before + time.monotonic() - self.started

    def stage(self, name: str, result: Path, work: Callable[[], None]) -> None:
        """Do `work`, unless an earlier session left its `result`."""
        if self.resume and result.exists():
            say(f"{name}: already there")
            return
        with self.timed(name):
            work()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record how long a stage takes."""
        start = time.monotonic()
        yield
        self.stages.append({"name": name, "seconds": round(time.monotonic() - start, 3)})
        self.run.record(stages=self.stages, seconds=self.seconds())

    def _open(self, command: str | None) -> None:
        known = self.run.read()
        self.seconds_before = known.get("seconds", 0.0)
        self.energy_before = known.get("energy") or {}
        self.stages = [stage for stage in known.get("stages", []) if stage["name"] in self.lasting]
        values = self.recipe.model_dump(mode="json")
        self.run.record(
            name=values["name"], status="running", error=None, created=known.get("created") or now(), finished=None,
            command=command, recipe=values, recipe_toml=to_toml(values), seed=values["seed"],
            versions=library_versions(), machine=describe_machine().to_dict(),
        )  # fmt: skip

    def compared(self, recipe: dict[str, Any]) -> dict[str, Any]:
        """What of a recipe must be the same on resume: all of it, but where a story says otherwise."""
        return recipe

    def _check_same_recipe(self) -> None:
        before, after = map(self.compared, (self.run.read().get("recipe") or {}, self.recipe.model_dump(mode="json")))
        # a key that an earlier version did not have and that is None says nothing new
        if changes := _differences(before, after):
            raise ConfigError(
                f"the recipe has changed since this run began ({'; '.join(changes)})",
                where=self.run.path,
                remedy="Resume with the same recipe and options, or start another run.",
            )


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a stage as Ctrl-C does; training has its own, gentler way with both."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        # None stands for a handler that was not set from Python and cannot be put back
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _differences(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            found.append(f"{prefix}{key}: {old!r} -> {new!r}")
    return found
