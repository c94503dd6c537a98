"""What this machine is, and how much energy it used."""

from __future__ import annotations

import os
import platform
import shutil
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

__all__ = ["Energy", "EnergyMeter", "Machine", "describe_machine", "has_cpp_compiler", "peak_memory_bytes"]

_FEATURES = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "i8mm", "sve")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware and system a number was measured on."""

    processor: str
    cores: int
    """Processors this process may use."""
    features: tuple[str, ...]
    """Vector and matrix instruction sets that matter for speed."""
    memory_bytes: int
    system: str
    python: str

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self) | {"features": list(self.features)}


@cache
def describe_machine() -> Machine:
    """Read the processor, memory and system of this machine."""
    fields: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return Machine(
        processor=fields.get("model name") or platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        features=tuple(name for name in _FEATURES if name in flags),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
    )


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def peak_memory_bytes() -> int:
    """Peak resident memory of this process so far, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


_WATTS_PER_CORE = 10.0
"""Assumed draw of a busy core with its share of memory and board, in watts; used only where nothing can be read."""

_GRID_KG_PER_KWH = 0.475
"""World average carbon intensity (IEA 2019), kg CO2e per kWh; the factor codecarbon uses for an unknown country."""


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of a stretch of work."""

    kwh: float
    co2_kg: float
    method: str
    """"measured (RAPL)" or "estimated (...)"."""
    factor: float = _GRID_KG_PER_KWH
    """kg CO2e per kWh."""


class EnergyMeter:
    """Energy between construction and `read()`: RAPL counters where readable, an estimate elsewhere."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._cpu_start = time.process_time()
        self._zones = _rapl_zones()
        self._joules = 0.0
        self._last = {zone: _read_int(zone / "energy_uj") for zone in self._zones}

    def read(self) -> Energy:
        """Energy used since the meter was made; the estimate counts this process's processor time only."""
        if self._zones:
            for zone in self._zones:
                now, before = _read_int(zone / "energy_uj"), self._last[zone]
                wrap = _read_int(zone / "max_energy_range_uj") + 1
                self._joules += ((now - before) % wrap if wrap > 1 else max(now - before, 0)) / 1e6
                self._last[zone] = now
            kwh, method = self._joules / 3.6e6, "measured (RAPL, whole processor package)"
        else:
            busy = time.process_time() - self._cpu_start
            kwh = busy * _WATTS_PER_CORE / 3.6e6
            method = f"estimated ({_WATTS_PER_CORE:g} W per busy core, {busy:.0f} core-seconds)"
        return Energy(kwh=kwh, co2_kg=kwh * _GRID_KG_PER_KWH, method=method)


def _rapl_zones() -> list[Path]:
    root = Path("/sys/class/powercap")
    zones = []
    for zone in sorted(root.glob("intel-rapl:*")) if root.exists() else []:
        if zone.name.count(":") == 1 and os.access(zone / "energy_uj", os.R_OK):
            zones.append(zone)
    return zones


def _read_int(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def has_cpp_compiler() -> bool:
    """Whether torch.compile can build its kernels here."""
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++", "c++"))
