"""Devices that are not there are refused; the fastest exact way to compute is measured once and remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hanmo.core import devices
from hanmo.core.devices import Compute, choose_compute, measure_compute, pick_device
from hanmo.core.errors import ConfigError
from hanmo.core.machine import describe_machine

CPU = torch.device("cpu")
FINDINGS = {
    "highest_gflops": 100.0, "highest_error": 1e-7,
    "medium_gflops": 100.0, "medium_error": 1e-7,
    "bf16_gflops": 100.0, "bf16_error": 2e-3,
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path / "cache" / "compute.json"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Instead of measuring, note the thread count that was to be measured with."""
    calls: list[int] = []

    def measure(n_threads: int) -> dict[str, float]:
        calls.append(n_threads)
        return dict(FINDINGS)

    monkeypatch.setattr(devices, "measure_compute", measure)
    return calls


@pytest.fixture
def torch_settings() -> Iterator[None]:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    yield
    torch.set_num_threads(before[0])
    torch.set_float32_matmul_precision(before[1])


# -- devices ---------------------------------------------------------------------------------------------------------


def test_pick_device() -> None:
    assert pick_device("cpu") == CPU
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert pick_device().type == pick_device("auto").type == best


@pytest.mark.filterwarnings("ignore:'mkldnn' is no longer used:UserWarning")
@pytest.mark.parametrize(
    "name", ["gpu", "", "CPU", "设备", "cuda:99", "hpu", "mkldnn", "xla", "vulkan", "cuda:x", "cuda:-1"]
)
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^device: there is no device .* here \(.+\)\. Use auto, cpu") as caught:
        pick_device(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_device_that_computes_nothing() -> None:
    with pytest.raises(ConfigError, match="holds no numbers"):
        pick_device("meta")


# -- the cached answer -----------------------------------------------------------------------------------------------


def test_measured_once(cache: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    first = choose_compute(CPU)
    assert measured == [describe_machine().cores] == [first.n_threads]
    assert list(json.loads(cache.read_text()).values()) == [FINDINGS]

    def fail(n_threads: int) -> dict[str, float]:
        raise AssertionError("measured again")

    monkeypatch.setattr(devices, "measure_compute", fail)
    assert choose_compute(CPU) == first
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    with pytest.raises(AssertionError, match="measured again"):
        choose_compute(CPU)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "\xff", '{"KEY": 3}', '{"KEY": {}}', '{"KEY": {"highest_gflops": "x"}}']
)
def test_a_damaged_answer_is_measured_again(cache: Path, measured: list[int], text: str) -> None:
    choose_compute(CPU)
    (key,) = json.loads(cache.read_text())
    cache.write_bytes(text.replace("KEY", key).encode("latin-1"))
    assert choose_compute(CPU).findings == FINDINGS
    assert len(measured) == 2
    choose_compute(CPU)
    assert len(measured) == 2


def test_other_machines_keep_their_answers(cache: Path, measured: list[int]) -> None:
    cache.parent.mkdir()
    cache.write_text('{"other machine": {"highest_gflops": 1}}')
    choose_compute(CPU)
    assert len(json.loads(cache.read_text())) == 2


def test_a_home_that_cannot_be_written(tmp_path: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "file" / "cache"))
    assert choose_compute(CPU) == choose_compute(CPU)
    assert len(measured) == 2


def test_where_the_answer_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANMO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert devices._cache_file() == tmp_path / "x" / "hanmo" / "compute.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert devices._cache_file() == tmp_path / ".cache" / "hanmo" / "compute.json"


@pytest.mark.parametrize(("wish", "threads"), [("1", 1), ("0", None), ("many", None), ("", None), ("9999", None)])
def test_threads_of_the_user(
    cache: Path, measured: list[int], monkeypatch: pytest.MonkeyPatch, wish: str, threads: int | None
) -> None:
    """torchrun gives each process OMP_NUM_THREADS=1; more than there are processors helps nobody."""
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    compute = choose_compute(CPU)
    assert measured == [compute.n_threads] == [threads or describe_machine().cores]


# -- decisions -------------------------------------------------------------------------------------------------------


def _decided(**changes: float) -> tuple[bool, str]:
    compute = devices._decide(CPU, 2, FINDINGS | changes)
    assert compute.autocast in (None, torch.bfloat16)
    return compute.autocast is not None, compute.matmul_precision


@pytest.mark.parametrize(
    ("changes", "bf16", "precision"),
    [
        ({}, False, "highest"),
        ({"bf16_gflops": 129.0}, False, "highest"),
        ({"bf16_gflops": 130.0}, True, "highest"),
        ({"bf16_gflops": 5.0}, False, "highest"),
        ({"bf16_gflops": 500.0, "bf16_error": 0.5}, False, "highest"),
        ({"bf16_gflops": 500.0, "bf16_error": float("nan")}, False, "highest"),
        ({"medium_gflops": 110.0}, False, "highest"),
        ({"medium_gflops": 200.0}, False, "medium"),
        ({"medium_gflops": 200.0, "medium_error": 2e-3}, False, "highest"),  # AMX: rounds to bfloat16
        ({"medium_gflops": 200.0, "bf16_gflops": 259.0}, False, "medium"),
        ({"medium_gflops": 200.0, "bf16_gflops": 261.0}, True, "medium"),
        ({"medium_gflops": 900.0, "medium_error": 2e-3, "bf16_gflops": 131.0}, True, "highest"),
    ],
)
def test_decisions(changes: dict[str, float], bf16: bool, precision: str) -> None:
    assert _decided(**changes) == (bf16, precision)


def test_apply(torch_settings: None) -> None:
    def compute(n_threads: int, precision: str) -> Compute:
        return Compute(
            device=CPU, autocast=None, matmul_precision=precision, compile=False, n_threads=n_threads, findings={}
        )

    compute(1, "medium").apply()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (1, "medium")
    compute(2, "highest").apply()
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "highest")


def test_measuring(torch_settings: None) -> None:
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    findings: dict[str, Any] = measure_compute(1)
    assert set(findings) == set(FINDINGS)
    assert all(findings[f"{name}_gflops"] > 0 for name in ("highest", "medium", "bf16"))
    assert findings["highest_error"] < 1e-5
    assert 1e-4 < findings["bf16_error"] < 0.02
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (2, "high")
    assert devices._is_complete(findings)
    assert not devices._is_complete({key: findings[key] for key in list(findings)[1:]})


def test_the_cache_of_the_tests_is_not_the_users() -> None:
    assert os.environ["HANMO_CACHE"] in str(devices._cache_file())
