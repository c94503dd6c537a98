"""What this machine is, and how much energy it used."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
import threading
import time
import weakref
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

__all__ = ["Energy", "EnergyMeter", "Machine", "describe_machine", "has_cpp_compiler", "peak_memory_bytes"]

_FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "i8mm",
    "sve",
)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The hardware and system a number was measured on."""

    processor: str
    cores: int
    """Processors this process may use, by affinity and by the quota of its container."""
    features: tuple[str, ...]
    """Vector and matrix instruction sets that matter for speed."""
    memory_bytes: int
    """Memory this process may use; 0 if unknown."""
    system: str
    python: str

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {**asdict(self), "features": list(self.features)}


@cache
def describe_machine() -> Machine:
    """Read the processor, memory and system of this machine."""
    fields: dict[str, str] = {}
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return Machine(
        processor=fields.get("model name") or platform.processor() or platform.machine(),
        cores=_cores(),
        features=tuple(name for name in _FEATURES if name in flags),
        memory_bytes=_memory_bytes(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
    )


_CGROUP = Path("/sys/fs/cgroup")
"""Limits of this container: version 2 in this folder, version 1 in `cpu/` and `memory/` below."""


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = _read(_CGROUP / "cpu.max").split()
    if not limits:
        limits = [_read(_CGROUP / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if len(limits) == 2 and all(limit.isdigit() and int(limit) > 0 for limit in limits):  # "max" and -1: no limit
        # more threads than the quota are throttled together: slower than fewer
        cores = min(cores, math.ceil(int(limits[0]) / int(limits[1])))
    return cores


def _memory_bytes() -> int:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0
    limit = (_read(_CGROUP / "memory.max") or _read(_CGROUP / "memory" / "memory.limit_in_bytes")).strip()
    return min(memory, int(limit)) if limit.isdigit() else memory


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
        self._cpu_start = time.process_time()
        self._joules = 0.0
        self._lock = threading.Lock()
        self._last: dict[Path, int] = {}
        for zone in _rapl_zones():
            counter = _read_int(zone / "energy_uj")
            if counter is not None:
                self._last[zone] = counter
        if self._last:
            threading.Thread(target=_keep_sampling, args=(weakref.ref(self),), daemon=True).start()

    def read(self) -> Energy:
        """Energy used since the meter was made; the estimate counts this process's processor time only."""
        if self._last:
            kwh, method = self._sample() / 3.6e6, "measured (RAPL, whole processor package)"
        else:
            busy = time.process_time() - self._cpu_start
            kwh = busy * _WATTS_PER_CORE / 3.6e6
            method = f"estimated ({_WATTS_PER_CORE:g} W per busy core, {busy:.0f} core-seconds)"
        return Energy(kwh=kwh, co2_kg=kwh * _GRID_KG_PER_KWH, method=method)

    def _sample(self) -> float:
        """Add what the counters gained; joules so far. A counter that cannot be read now is left for later."""
        with self._lock:
            for zone, before in self._last.items():
                now = _read_int(zone / "energy_uj")
                if now is None:
                    continue
                wrap = (_read_int(zone / "max_energy_range_uj") or 0) + 1
                self._joules += ((now - before) % wrap if wrap > 1 else max(now - before, 0)) / 1e6
                self._last[zone] = now
            return self._joules


_SAMPLE_SECONDS = 30.0
"""Between two looks at the counters: some wrap after 65 kJ, which a 500 W package uses in two minutes."""


def _keep_sampling(meter: weakref.ref[EnergyMeter]) -> None:
    while True:
        time.sleep(_SAMPLE_SECONDS)
        alive = meter()
        if alive is None:
            return
        alive._sample()
        del alive  # the thread must not keep the meter


_POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of Intel and AMD processors."""


def _rapl_zones() -> list[Path]:
    """Zones of whole processor packages; "psys" (the whole machine) would count them twice."""
    zones = sorted(_POWERCAP.glob("intel-rapl:*"))
    return [zone for zone in zones if zone.name.count(":") == 1 and _read(zone / "name").startswith("package")]


def _read(path: Path) -> str:
    """Text of a system file, "" where there is none."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _read_int(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def has_cpp_compiler() -> bool:
    """Whether torch.compile can build its kernels here: it takes $CXX, else g++ (clang++ on a Mac), and no other."""
    return shutil.which(os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")) is not None
