"""A compiled function run by several threads at once: torch's own, where they can be asked.

After each of its operations torch's threads stay awake for a while, in case another follows. Threads of our own would have
to share the processors with them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch

from hanmo.core.compiled import Worker

__all__ = ["run_team"]

_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run_team(worker: Worker, parameters: np.ndarray) -> None:
    """Call `worker(address of parameters)` in as many threads as torch uses; they share out the work among themselves.

    Args:
        worker: it may be called in fewer threads, also in one alone.
        parameters: (N,) int64.
    """
    address, n_threads = parameters.ctypes.data, torch.get_num_threads()
    if n_threads == 1:
        _WORK(worker.address)(address)
    elif (parallel := _openmp()) is not None:
        parallel(worker.address, address, n_threads, 0)
    else:
        work, pool = _WORK(worker.address), _pool(n_threads - 1)
        others = [pool.submit(work, address) for _ in range(n_threads - 1)]
        work(address)
        for other in others:
            other.result()


@cache
def _openmp() -> Callable[[int, int, int, int], None] | None:
    """GNU's entrance to a parallel region, if torch brought one."""
    try:
        parallel = ctypes.CDLL(None).GOMP_parallel
    except (AttributeError, OSError, TypeError):
        return None
    parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
    parallel.restype = None
    return parallel


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads)
