"""Seconds to start: `hanmo --help`, `hanmo train --help`, `import hanmo`, beside `transformers --help`.

python benchmarks/startup.py [--runs 7]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from machine_line import machine_line, spread

BIN = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    print(machine_line(0, "transformers"))
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import hanmo": [sys.executable, "-c", "import hanmo"],
        "hanmo --help": [str(BIN / "hanmo"), "--help"],
        "hanmo train --help": [str(BIN / "hanmo"), "train", "--help"],
        "transformers --help": [str(BIN / "transformers"), "--help"],
    }
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, env=environment, capture_output=True, check=True)
            if turn:  # the first turn fills the disk cache
                times[name].append(1000 * (time.perf_counter() - start))
    for name, values in times.items():
        print(f"{name:<22} {spread(values)} ms")


if __name__ == "__main__":
    main()
