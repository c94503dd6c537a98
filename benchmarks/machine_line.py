"""What every benchmark prints first: hardware, versions, seed."""

from __future__ import annotations

import importlib.metadata
from statistics import median

from hanmo.core.machine import describe_machine

__all__ = ["machine_line", "spread"]


def machine_line(seed: int, *libraries: str) -> str:
    """One line: processor, cores, features, versions, seed."""
    machine = describe_machine()
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", *libraries))
    return f"# {machine.processor}, {machine.cores} cores, {' '.join(machine.features)}; {versions}; seed {seed}"


def spread(values: list[float]) -> str:
    """`median [min..max] n=5`."""
    ordered = sorted(values)
    return f"{median(ordered):,.1f} [{ordered[0]:,.1f}..{ordered[-1]:,.1f}] n={len(ordered)}"
