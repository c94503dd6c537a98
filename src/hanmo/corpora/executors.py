"""Who does the tasks of a build: this process, processes of this machine, or a Ray cluster.

A task is a function of the package and one argument; what it makes it leaves in files, each put in place when whole. So a
task may be done twice (a node that died), in any order, by anyone who sees the folder, and the result is the same.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

from hanmo.core.errors import ConfigError, HanmoError, MissingExtraError

__all__ = ["Executor", "Here", "Processes", "Ray"]

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


class Executor(Protocol):
    """Does tasks."""

    def run(self, function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> Iterator[ResultT]:
        """Give the results as they come, in any order; the first error ends the run."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class Here:
    """One task after the other, in this process."""

    def run(self, function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> Iterator[ResultT]:
        """Give the results in order."""
        yield from map(function, tasks)

    def close(self) -> None:
        """Nothing to let go."""


class Processes:
    """Processes of this machine, started with the first task and kept until `close`.

    Args:
        n_workers: how many.
    """

    def __init__(self, n_workers: int):
        if n_workers < 1:
            raise ConfigError(f"{n_workers} worker processes cannot work", where="workers", remedy="Give 1 or more.")
        self._n_workers = n_workers
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> Iterator[ResultT]:
        """Give the results as they come.

        Raises:
            HanmoError: if a process was killed (most often for want of memory), beside what the task itself raises.
        """
        if len(tasks) == 1:
            yield from Here().run(function, tasks)
            return
        if self._pool is None:
            # spawn: a fork would copy threads of torch and numba in the middle of what they do
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._n_workers, mp_context=context, initializer=_begin)
        todo, running = iter(tasks), set[Future[ResultT]]()
        try:
            while True:
                for task in todo:
                    with _without_main():
                        running.add(self._pool.submit(function, task))
                    if len(running) == 2 * self._n_workers:  # a short queue, so that a stop is soon
                        break
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            self.close()
            raise HanmoError(
                "a worker process was killed, most likely because the memory of this machine was full",
                remedy="Run the same command again with fewer workers: it goes on where this one ended.",
            ) from error
        except BaseException:  # a reader who wants no more results is among them
            self.close()
            raise

    def close(self) -> None:
        """Stop the workers at once; what they were writing is a temporary folder that is swept."""
        if self._pool is None:
            return
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            with contextlib.suppress(OSError, ValueError):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not run the script of the user again: it may have no `if __name__ == "__main__"`."""
    main = sys.modules["__main__"].__dict__
    kept = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)


def _begin() -> None:
    """In a new worker: Ctrl-C is for the process that was started by people; without it a worker ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    """End this process when its parent was killed: nobody waits for its work."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


class Ray:
    """A Ray cluster (Moritz et al., 2018) whose machines share the folder that is written to.

    A task whose machine dies is done again by another.

    Args:
        address: of the head node (`host:port`), "auto" for the cluster that this machine is part of, or "local".
    """

    def __init__(self, address: str = "auto"):
        self._address = address
        self._entered = False

    def run(self, function: Callable[[TaskT], ResultT], tasks: Sequence[TaskT]) -> Iterator[ResultT]:
        """Give the results as they come.

        Raises:
            MissingExtraError: if ray is not installed.
            HanmoError: if there is no cluster at the address.
        """
        ray = self._connect()
        remote: Any = ray.remote(num_cpus=1, max_retries=10, retry_exceptions=False)(function)
        at_once = max(2 * int(ray.cluster_resources().get("CPU", 1)), 2)
        todo, running = iter(tasks), list[Any]()
        while True:
            for task in todo:
                running.append(remote.remote(task))
                if len(running) >= at_once:
                    break
            if not running:
                return
            done, running = ray.wait(running, num_returns=1)
            try:
                yield ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise (cause if isinstance(cause, HanmoError) else error) from error

    def close(self) -> None:
        """Leave the cluster, if this object entered it."""
        if self._entered:
            import ray

            ray.shutdown()
            self._entered = False

    def _connect(self) -> Any:
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "cluster", "running on a Ray cluster") from error
        if not ray.is_initialized():
            try:
                ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as error:
                raise HanmoError(
                    f"there is no Ray cluster at this address ({error})", where=self._address,
                    remedy="Start one with `ray start --head`, or give its address.",
                ) from error  # fmt: skip
            self._entered = True
        return ray
