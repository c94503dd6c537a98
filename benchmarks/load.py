"""Loading a checkpoint of half a gigabyte: time beside a plain read of the same bytes, and the peak of memory.

    python benchmarks/load.py [--megabytes 500] [--repeats 5]

Each measurement is a fresh process, so that its peak is its own; the file is in the page cache for both. Figures of
the project: peak under 1.2 x the file, time under 2 x that of reading it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine_line import machine_line

from hanmo.models.directory import write_model
from hanmo.models.llama import LlamaConfig, llama

SEED = 0
COMMON = """
import sys, time
from pathlib import Path
def peak():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
path = Path(sys.argv[1])
"""
LOAD = (
    COMMON
    + """
import torch
from hanmo.models.directory import read_model
before, start = peak(), time.perf_counter()
model = read_model(path)
print(time.perf_counter() - start, peak() - before)
"""
)
READ = (
    COMMON
    + """
before, start = peak(), time.perf_counter()
data = (path / "model.safetensors").read_bytes()
print(time.perf_counter() - start, peak() - before)
"""
)


def measure(script: str, folder: Path) -> tuple[float, float]:
    """Seconds and bytes of one process."""
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True)
    seconds, n_bytes = done.stdout.split()
    return float(seconds), float(n_bytes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(machine_line(SEED))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        layer = 4 * (4 * 1024**2 + 3 * 1024 * 2752)  # bytes of one
        n_layers = max(1, round((arguments.megabytes * 1e6 - 8000 * 1024 * 8) / layer))
        write_model(folder, llama(LlamaConfig(vocab_size=8000, d_model=1024, d_ff=2752, n_layers=n_layers, n_heads=8)))
        size = (folder / "model.safetensors").stat().st_size
        measure(READ, folder)  # brings the file into the page cache
        rounds = [(measure(READ, folder), measure(LOAD, folder)) for _ in range(arguments.repeats)]
    read, load = (statistics.median(one[side][0] for one in rounds) for side in (0, 1))
    peaks = [one[1][1] / size for one in rounds]
    print(f"{size / 1e6:,.0f} MB: read in {read:.3f} s, loaded in {load:.3f} s, {load / read:.2f} x")
    print(f"peak of memory while loading: {statistics.median(peaks):.3f} x the file, at most {max(peaks):.3f} x")


if __name__ == "__main__":
    main()
