"""Five SIGKILLs at random moments; `benchmarks/kill_resume.py` does fifty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"


@pytest.mark.slow  # tests/stories/test_resume.py kills once in the fast suite
def test_five_kills_at_random_moments_resume_bit_exactly():
    command = [sys.executable, str(SCRIPT), "--kills", "5", "--steps", "40", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)
    assert findings["kills"] == 5
    assert findings["exact_runs"] == findings["runs"] >= 2
    # not vacuous: processes died in the middle of training, and the comparison can tell two runs apart
    assert findings["kills_between"] >= 1
    assert findings["other_seed_differs"]
