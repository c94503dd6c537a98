"""What the machine is, and its energy, also where counters wrap around or cannot be read."""

from __future__ import annotations

import gc
import json
import os
import platform
import threading
import time
import weakref
from pathlib import Path

import pytest

from hanmo.core import machine as module
from hanmo.core.machine import EnergyMeter, describe_machine, has_cpp_compiler, peak_memory_bytes


def test_describe_machine() -> None:
    machine = describe_machine()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.processor
    assert machine.memory_bytes > 2**20
    assert machine.python == platform.python_version()
    assert machine.system.startswith(platform.system())
    assert json.loads(json.dumps(machine.to_dict())) == machine.to_dict()
    assert describe_machine() is machine


def test_peak_memory() -> None:
    assert 2**20 < peak_memory_bytes() < 2**45


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("9900000 100000", 8),
        ("", 8), ("damaged", 8), ("100000 0", 8),
    ],
)  # fmt: skip
def test_quota_of_a_container(cgroup: Path, text: str, cores: int) -> None:
    (cgroup / "cpu.max").write_text(text + "\n")
    assert module._cores() == cores


@pytest.mark.parametrize(("quota", "cores"), [(-1, 8), (300_000, 3)])
def test_quota_of_an_older_container(cgroup: Path, quota: int, cores: int) -> None:
    (cgroup / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (cgroup / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert module._cores() == cores


def test_memory_of_a_container(cgroup: Path) -> None:
    everything = module._memory_bytes()
    (cgroup / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert module._memory_bytes() == everything
    (cgroup / "memory" / "memory.limit_in_bytes").write_text("1048576\n")
    assert module._memory_bytes() == 2**20
    (cgroup / "memory.max").write_text("max\n")
    assert module._memory_bytes() == everything


# -- energy ----------------------------------------------------------------------------------------------------------


def _zone(root: Path, zone: str, name: str, counter: int, top: int | None) -> Path:
    folder = root / zone
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{counter}\n")
    if top is not None:
        (folder / "max_energy_range_uj").write_text(f"{top}\n")
    return folder


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_POWERCAP", tmp_path)
    return tmp_path


def _joules(meter: EnergyMeter) -> float:
    return meter.read().kwh * 3.6e6


def test_measured_energy(powercap: Path) -> None:
    first = _zone(powercap, "intel-rapl:0", "package-0", 1_000_000, 10**12)
    second = _zone(powercap, "intel-rapl:1", "package-1", 5_000_000, 10**12)
    part = _zone(powercap, "intel-rapl:0:0", "core", 0, 10**12)
    whole = _zone(powercap, "intel-rapl:2", "psys", 0, 10**12)
    meter = EnergyMeter()
    assert _joules(meter) == 0
    (first / "energy_uj").write_text("3000000\n")
    (second / "energy_uj").write_text("9000000\n")
    for counted_twice in (part, whole):
        (counted_twice / "energy_uj").write_text("7000000\n")
    assert _joules(meter) == pytest.approx(6)
    (first / "energy_uj").write_text("4000000\n")
    energy = meter.read()
    assert energy.kwh == pytest.approx(7 / 3.6e6)
    assert energy.co2_kg == pytest.approx(energy.kwh * energy.factor)
    assert energy.method.startswith("measured (RAPL")


def test_a_counter_that_wraps_around(powercap: Path) -> None:
    zone = _zone(powercap, "intel-rapl:0", "package-0", 100, 105)
    meter = EnergyMeter()
    (zone / "energy_uj").write_text("10\n")
    assert _joules(meter) == pytest.approx(16e-6)  # 101 … 105, then 0 … 10
    (zone / "energy_uj").write_text("5\n")
    assert _joules(meter) == pytest.approx((16 + 101) * 1e-6)


def test_a_counter_without_a_range_is_never_negative(powercap: Path) -> None:
    zone = _zone(powercap, "intel-rapl:0", "package-0", 100, None)
    meter = EnergyMeter()
    (zone / "energy_uj").write_text("10\n")
    assert _joules(meter) == 0
    (zone / "energy_uj").write_text("30\n")
    assert _joules(meter) == pytest.approx(20e-6)


def test_a_counter_that_cannot_be_read_for_a_while(powercap: Path) -> None:
    """Not a fall to 0, which would look like a whole turn of the counter."""
    zone = _zone(powercap, "intel-rapl:0", "package-0", 100, 10**12)
    meter = EnergyMeter()
    (zone / "energy_uj").unlink()
    assert _joules(meter) == 0
    (zone / "energy_uj").write_text("300\n")
    assert _joules(meter) == pytest.approx(200e-6)


def test_turns_between_two_reads_are_seen(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some counters wrap after 65 kJ: a thread looks at them in between."""
    monkeypatch.setattr(module, "_SAMPLE_SECONDS", 0.001)
    zone = _zone(powercap, "intel-rapl:0", "package-0", 0, 99)
    meter = EnergyMeter()
    for counter in (60, 20, 80, 40):  # three times more than half a turn
        (zone / "next").write_text(f"{counter}\n")
        (zone / "next").replace(zone / "energy_uj")
        for _ in range(10_000):
            if meter._last[zone] == counter:
                break
            time.sleep(0.001)
    assert _joules(meter) == pytest.approx(240e-6)
    gone, threads = weakref.ref(meter), threading.active_count()
    del meter
    gc.collect()
    for _ in range(10_000):
        if gone() is None and threading.active_count() < threads:
            break
        time.sleep(0.001)
    assert gone() is None
    assert threading.active_count() < threads


@pytest.mark.parametrize("has_zone", [False, True])
def test_estimated_energy(powercap: Path, has_zone: bool) -> None:
    if has_zone:
        (_zone(powercap, "intel-rapl:0", "package-0", 0, 9) / "energy_uj").unlink()  # readable by root only
    meter = EnergyMeter()
    start = time.process_time()
    while time.process_time() - start < 0.02:
        pass
    energy = meter.read()
    assert energy.kwh >= 0.02 * 10 / 3.6e6
    assert energy.co2_kg == pytest.approx(energy.kwh * energy.factor)
    assert energy.method.startswith("estimated (10 W per busy core")


# -- compiler --------------------------------------------------------------------------------------------------------


def test_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile looks for $CXX or the one default of the system, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not has_cpp_compiler()
    for name in ("c++", "mycc"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert not has_cpp_compiler()
    monkeypatch.setenv("CXX", "mycc")
    assert has_cpp_compiler()
    monkeypatch.setenv("CXX", "g++")
    assert not has_cpp_compiler()
