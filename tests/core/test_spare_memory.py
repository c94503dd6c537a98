"""In processes of their own: what the C library holds depends on all that went before."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from hanmo.core import spare_memory
from hanmo.core.spare_memory import SpareMemory

needs_glibc = pytest.mark.skipif(spare_memory._glibc() is None, reason="the C library is not glibc, or has been set")
PROGRAM = """
import contextlib, resource
import torch
from hanmo.core.spare_memory import SpareMemory

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

def step():
    torch.zeros(12_000_000)  # 48 MB

def scattered():
    blocks = [torch.zeros(100_000) for _ in range(1000)]  # 400 MB
    return blocks[::50]
"""


def run(program: str) -> list[float]:
    out = subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, check=True)
    return [float(word) for word in out.stdout.split()]


@needs_glibc
def test_freed_blocks_are_used_again() -> None:
    pages = 48_000_000 / 4096
    without, again, after = run("""
step()
print(faults(step))
with SpareMemory():
    for _ in range(20):  # the first ones leave small gaps beside each
        step()
    print(faults(step))
step()
print(faults(step))
""")
    assert again < 0.01 * pages < 0.9 * pages < min(without, after)


@needs_glibc
def test_gaps_go_back() -> None:
    before, gaps, early, late, end = run("""
before = held()
with SpareMemory(every=3600) as memory:
    kept = scattered()
    gaps = held()
    memory.settle()
    early = held()
    memory._every = 0
    memory.settle()
    late = held()
    more = scattered()
end = held()
print(before, gaps, early, late, end)
""")
    assert gaps > before + 300
    assert early > before + 300
    assert late < before + 60
    assert end < before + 90


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    spare_memory._glibc.cache_clear()
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    try:
        with SpareMemory(every=0) as memory:
            memory.settle()
        assert spare_memory._glibc() is None
    finally:
        spare_memory._glibc.cache_clear()


@needs_glibc
def test_what_the_user_has_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    spare_memory._glibc.cache_clear()
    try:
        assert spare_memory._glibc() is not None
        spare_memory._glibc.cache_clear()
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
        assert spare_memory._glibc() is None
    finally:
        spare_memory._glibc.cache_clear()
