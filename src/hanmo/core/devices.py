"""Which device computes, and in which precision: chosen per machine by measuring speed and error once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import ConfigError, FormatError, StorageError
from hanmo.core.files import read_json, write_json
from hanmo.core.machine import describe_machine, has_cpp_compiler

if TYPE_CHECKING:
    import torch

__all__ = ["Compute", "choose_compute", "measure_compute", "pick_device"]


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How this machine computes fastest at the accuracy asked for."""

    device: torch.device
    autocast: torch.dtype | None
    """Type for matrix products under autocast, or None for full float32."""
    matmul_precision: str
    """For `torch.set_float32_matmul_precision`: "highest" or "medium"."""
    compile: bool
    """Whether `torch.compile` works here (a C++ compiler, or a GPU with triton)."""
    n_threads: int
    """Threads of one operator on the CPU."""
    findings: dict[str, float]
    """What was measured: GFLOP/s and relative errors by name."""

    def apply(self) -> None:
        """Set torch's thread count and float32 matmul precision."""
        import torch

        torch.set_num_threads(self.n_threads)
        torch.set_float32_matmul_precision(self.matmul_precision)


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`, or the best one present for "auto".

    Raises:
        ConfigError: if the device does not exist here.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"there is no device {name!r} here", where="device", remedy="Use auto, cpu, cuda or mps; `hanmo doctor` lists what is present.") from error
    return device


def choose_compute(device: torch.device | None = None) -> Compute:
    """Measure this machine once (under a second), remember the answer, and return it.

    The answer is cached in the user's cache folder, keyed by processor, torch version and thread count.
    """
    import torch

    device = device or pick_device()
    if device.type != "cpu":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return Compute(
            device=device, autocast=torch.bfloat16 if bf16 else None, matmul_precision="high",
            compile=device.type == "cuda", n_threads=torch.get_num_threads(), findings={},
        )  # fmt: skip
    machine = describe_machine()
    key = f"{machine.processor}|{','.join(machine.features)}|{machine.cores}|{torch.__version__}"
    cache = _cache_file()
    try:
        known: dict[str, Any] = read_json(cache)
    except (OSError, FormatError):
        known = {}
    findings = known.get(key)
    if not isinstance(findings, dict):
        findings = measure_compute(machine.cores)
        try:
            write_json(cache, known | {key: findings})
        except StorageError:
            pass  # a read-only home costs a second per start, nothing else
    return _decide(device, machine.cores, findings)


def _decide(device: torch.device, n_threads: int, findings: dict[str, float]) -> Compute:
    import torch

    full, medium, bf16 = findings["highest_gflops"], findings["medium_gflops"], findings["bf16_gflops"]
    # "medium" may round inputs on processors with AMX: take it only where it stays true float32
    precision = "medium" if medium > 1.15 * full and findings["medium_error"] < 4 * findings["highest_error"] + 1e-6 else "highest"
    best = max(full, medium if precision == "medium" else 0)
    return Compute(
        device=device, autocast=torch.bfloat16 if bf16 > 1.3 * best else None, matmul_precision=precision,
        compile=has_cpp_compiler(), n_threads=n_threads, findings=findings,
    )  # fmt: skip


def measure_compute(n_threads: int) -> dict[str, float]:
    """GFLOP/s and relative error of a linear layer (1024×512×2048) in each precision."""
    import torch

    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_num_threads(n_threads)
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(1024, 512, generator=generator), torch.randn(2048, 512, generator=generator)
    exact = x.double() @ w.double().T
    gflop = 2 * 1024 * 512 * 2048 / 1e9
    findings: dict[str, float] = {}
    try:
        for name, dtype in (("highest", torch.float32), ("medium", torch.float32), ("bf16", torch.bfloat16)):
            torch.set_float32_matmul_precision("medium" if name == "medium" else "highest")
            a, b = x.to(dtype), w.to(dtype)
            result = torch.nn.functional.linear(a, b)
            best = min(_seconds(lambda: torch.nn.functional.linear(a, b)) for _ in range(7))  # noqa: B023
            findings[f"{name}_gflops"] = round(gflop / best, 1)
            findings[f"{name}_error"] = float((result.double() - exact).norm() / exact.norm())
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.set_num_threads(before[1])
    return findings


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _cache_file() -> Path:
    root = os.environ.get("HANMO_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hanmo")
    return Path(root) / "compute.json"
