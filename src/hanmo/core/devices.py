"""Which device computes, and in which precision: chosen per machine by measuring speed and error once."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hanmo.core.errors import ConfigError, DataError, FormatError, StorageError
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
    """For `torch.set_float32_matmul_precision`: "highest" or "medium" on the CPU, "high" (TF32) on a GPU."""
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
    remedy = "Use auto, cpu, cuda or mps; `hanmo doctor` lists what is present."
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"there is no device {name!r} here ({reason})", where="device", remedy=remedy) from error
    if device.type == "meta":  # torch has it, but it computes nothing
        raise ConfigError("the device 'meta' holds no numbers", where="device", remedy=remedy)
    return device


def choose_compute(device: torch.device | None = None) -> Compute:
    """Measure this machine once (under a second), remember the answer, and return it.

    The answer is cached in the user's cache folder, keyed by processor, torch version and thread count. Threads are
    the processors this process may use, or fewer where OMP_NUM_THREADS says so (torchrun sets it).
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
    n_threads = _threads(machine.cores)
    key = f"{machine.processor}|{','.join(machine.features)}|{n_threads}|{torch.__version__}"
    cache = _cache_file()
    try:
        known = read_json(cache)
    except (OSError, FormatError):
        known = {}
    if not isinstance(known, dict):
        known = {}
    findings = known.get(key)
    if not isinstance(findings, dict) or not _is_complete(findings):
        findings = measure_compute(n_threads)
        # a read-only home costs a second per start, nothing else
        with contextlib.suppress(StorageError, DataError):
            write_json(cache, known | {key: findings})
    return _decide(device, n_threads, findings)


def _threads(cores: int) -> int:
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wish)) if wish.isdigit() and int(wish) > 0 else cores


def _is_complete(findings: dict[str, float]) -> bool:
    """Whether a cached answer holds everything that is decided on; the file may be of another version or damaged."""
    numbers = [findings.get(f"{name}_{what}") for name in _PRECISIONS for what in ("gflops", "error")]
    return all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)


def _decide(device: torch.device, n_threads: int, findings: dict[str, float]) -> Compute:
    import torch

    full, medium, bf16 = findings["highest_gflops"], findings["medium_gflops"], findings["bf16_gflops"]
    # "medium" may round inputs on processors with AMX: take it only where it stays true float32
    precision = (
        "medium"
        if medium > 1.15 * full and findings["medium_error"] < 4 * findings["highest_error"] + 1e-6
        else "highest"
    )
    best = max(full, medium if precision == "medium" else 0)
    # the error of bfloat16 (8 bits of mantissa) is about 0.002; far more means broken kernels
    use_bf16 = bf16 >= 1.3 * best and findings["bf16_error"] < 0.02
    return Compute(
        device=device, autocast=torch.bfloat16 if use_bf16 else None, matmul_precision=precision,
        compile=has_cpp_compiler(), n_threads=n_threads, findings=findings,
    )  # fmt: skip


_PRECISIONS = ("highest", "medium", "bf16")


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
        for name in _PRECISIONS:
            dtype = torch.bfloat16 if name == "bf16" else torch.float32
            torch.set_float32_matmul_precision("medium" if name == "medium" else "highest")
            a, b = x.to(dtype), w.to(dtype)
            result = torch.nn.functional.linear(a, b)
            best = _best_seconds(partial(torch.nn.functional.linear, a, b))
            findings[f"{name}_gflops"] = round(gflop / best, 1)
            findings[f"{name}_error"] = float((result.double() - exact).norm() / exact.norm())
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.set_num_threads(before[1])
    return findings


def _best_seconds(work: Callable[[], object]) -> float:
    """Fastest of up to 7 calls; fewer where bfloat16 is emulated and takes seconds."""
    begin, best = time.perf_counter(), math.inf
    for _ in range(7):
        start = time.perf_counter()
        work()
        now = time.perf_counter()
        best = min(best, now - start)
        if now - begin > 0.5:
            break
    return best


def _cache_file() -> Path:
    root = os.environ.get("HANMO_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hanmo"
    )
    return Path(root) / "compute.json"
