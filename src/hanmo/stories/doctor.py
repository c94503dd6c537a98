"""What this installation and machine can do, and what would make it better."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from hanmo.core.devices import choose_compute
from hanmo.core.machine import describe_machine, has_cpp_compiler
from hanmo.stories.versions import library_versions

__all__ = ["Findings", "examine"]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `hanmo doctor` found."""

    versions: dict[str, str]
    machine: dict[str, Any]
    threads: int
    accelerators: list[str]
    compute: dict[str, Any]
    """How training and decoding will compute here, as measured."""
    extras: dict[str, dict[str, bool]]
    """Extra → library → installed?"""
    free_disk_bytes: int
    """Where temporary files go."""
    recommendations: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """The findings as text."""
        machine, compute = self.machine, self.compute
        lines = ["Versions", *(f"  {name:<14} {version}" for name, version in self.versions.items()), "", "Machine"]
        lines += [
            f"  processor      {machine['processor']} ({machine['cores']} cores, {self.threads} threads used)",
            f"  features       {' '.join(machine['features']) or 'none that matter'}",
            f"  memory         {machine['memory_bytes'] / 2**30:.1f} GiB",
            f"  free disk      {self.free_disk_bytes / 2**30:.1f} GiB",
            f"  accelerators   {', '.join(self.accelerators) or 'none'}",
            "",
            "Compute, as measured here",
            f"  matrix product {compute['precision']}, float32 matmul precision {compute['matmul_precision']!r}",
            f"  torch.compile  {'can be used' if compute['compile'] else 'not possible (no C++ compiler)'}",
        ]
        lines += [f"  {name:<18} {value:.3g}" for name, value in compute["findings"].items()]
        lines += ["", "Extras"]
        for extra, libraries in self.extras.items():
            missing = [name for name, present in libraries.items() if not present]
            state = "complete" if not missing else f"missing {', '.join(missing)}; pip install 'hanmo[{extra}]'"
            lines.append(f"  {extra:<14} {state}")
        lines += [
            "",
            "Recommendations",
            *(f"  - {text}" for text in self.recommendations or ["none: this machine is well set up"]),
        ]
        return "\n".join(lines)


def examine() -> Findings:
    """Look at versions, processor, accelerators, extras and disk; measure matrix products once."""
    import torch

    machine = describe_machine()
    compute = choose_compute(torch.device("cpu"))
    accelerators = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        accelerators.append("Apple GPU (mps)")
    extras = _extras()
    free = shutil.disk_usage(tempfile.gettempdir()).free
    recommendations = []
    if not has_cpp_compiler():
        recommendations.append("Install a C++ compiler (g++): torch.compile then makes long training runs faster.")
    if compute.autocast is None and not accelerators:
        recommendations.append("bfloat16 is not faster than float32 on this processor, so training stays in float32.")
    if machine.memory_bytes and machine.memory_bytes < 4 * 2**30:
        recommendations.append("Less than 4 GiB of memory: keep models under 20 M parameters and batches small.")
    if free < 2 * 2**30:
        recommendations.append("Less than 2 GiB of disk are free: checkpoints may not fit.")
    for extra, libraries in extras.items():
        if extra != "dev" and not all(libraries.values()):
            recommendations.append(f"pip install 'hanmo[{extra}]' for {_PURPOSES.get(extra, extra)}.")
    return Findings(
        versions=library_versions(), machine=machine.to_dict(), threads=compute.n_threads, accelerators=accelerators,
        compute={
            "precision": "bfloat16 under autocast" if compute.autocast else "float32",
            "matmul_precision": compute.matmul_precision, "compile": compute.compile, "findings": compute.findings,
        },
        extras=extras, free_disk_bytes=free, recommendations=recommendations,
    )  # fmt: skip


_PURPOSES = {"corpus": "reading HTML", "track": "TensorBoard"}


def _extras() -> dict[str, dict[str, bool]]:
    """Extra → library → installed, read from the package's own metadata."""
    found: dict[str, dict[str, bool]] = {}
    for requirement in importlib.metadata.requires("hanmo") or []:
        match = re.match(r"([\w\-.]+).*extra\s*==\s*['\"]([\w\-]+)['\"]", requirement)
        if match:
            found.setdefault(match[2], {})[match[1]] = _installed(match[1])
    return found


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
