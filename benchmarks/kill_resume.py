"""Kills training with SIGKILL at random moments and shows that resuming changes nothing.

    python benchmarks/kill_resume.py [--kills 50] [--steps 150] [--seed 0] [--optimizer adamw|muon] [--json]

A small GPT-2 (dropout on, three micro-batches per step, shuffled data, evaluations, checkpoints every five steps)
is trained once without interruption. Then runs with the same settings are killed at moments drawn uniformly over
the time that is left, each time resumed in a new process, until the asked number of kills has been reached. Every
such run has to end with the same bytes: weights, optimizer, random generators, loader position, and the logged
sequence of (step, loss, samples). A run with another seed has to end differently.

Exit code 0 if all of that holds. With N kills and no failure the failure rate is below 1 - 0.05 ** (1 / N) (95 %).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch._inductor
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.batches.blocks import TokenBlocks
from hanmo.core.devices import Compute
from hanmo.core.progress import set_quiet
from hanmo.core.runs import RunFolder
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.training import TrainingSettings, fit, latest_checkpoint, read_checkpoint

VOCAB, BLOCK, ROWS = 61, 16, 4


def blocks(seed: int) -> TokenBlocks:
    """Shuffled blocks of a made-up text; an epoch ends in the middle of a step."""
    text = np.random.default_rng(0).zipf(1.5, size=58 * BLOCK + 1) % VOCAB
    return TokenBlocks(text, block_len=BLOCK, batch_size=ROWS, seed=seed)


def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    logits = model(batch["input_ids"]).logits
    return F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), reduction="sum"), batch["labels"].numel()


def evaluate(model: nn.Module) -> dict[str, float]:
    total, count = loss(model, blocks(seed=99).next())
    return {"loss": float(total) / count}


def train(path: Path, n_steps: int, seed: int, resume: bool, optimizer: Literal["adamw", "muon"]) -> None:
    torch.manual_seed(seed)
    model = gpt2(
        GPT2Config(
            vocab_size=VOCAB, max_len=BLOCK, d_model=32, n_layers=2, n_heads=2, bos_id=None, eos_id=None,
            dropout_embedding=0.1, dropout_attention=0.1, dropout_residual=0.1,
        )
    )  # fmt: skip
    settings = TrainingSettings(
        n_steps=n_steps,
        accumulate=3,
        lr=3e-3,
        eval_every=7,
        checkpoint_steps=5,
        seed=seed,
        deterministic=True,
        optimizer=optimizer,
    )
    compute = Compute(
        device=torch.device("cpu"), autocast=None, matmul_precision="highest", compile=False, n_threads=1, findings={}
    )
    fit(
        model, loss=loss, batches=blocks(seed), settings=settings, run=RunFolder(path), evaluate=evaluate,
        identity={"world size": "1"}, compute=compute, resume=resume,
    )  # fmt: skip


class Session:
    """A forked process that trains. The parent never computes, so that each child starts from the same state."""

    def __init__(self, path: Path, n_steps: int, seed: int, optimizer: Literal["adamw", "muon"], *, resume: bool):
        path.mkdir(parents=True, exist_ok=True)
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(reader)
                os.write(writer, b"x")
                train(path, n_steps, seed, resume, optimizer)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)

    def wait(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        if status != 0:
            raise SystemExit(f"a training process failed with status {status}")

    def kill_after(self, seconds: float) -> bool:
        """Send SIGKILL after `seconds`; False if training had ended by then."""
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return True
        if status != 0:
            raise SystemExit(f"a training process failed with status {status}")
        return False


def outcome(path: Path) -> dict[str, Any]:
    """Everything that must not depend on interruptions."""
    newest = latest_checkpoint(path / "checkpoints")
    assert newest is not None
    state = read_checkpoint(newest).state
    state["progress"].pop("seconds")
    events = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    names = ("step", "loss", "lr", "grad_norm", "tokens", "samples", "eval")
    return {
        "checkpoint": newest.name,
        "sha256": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(newest.glob("*.safetensors"))},
        "state": state,
        "log": [{name: event[name] for name in names if name in event} for event in events],
    }


def steps_done(path: Path) -> int:
    """Steps in the log, torn lines left out."""
    file = path / "metrics.jsonl"
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return sum('"lr"' in line and line.endswith("}") for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=150, help="optimizer steps of a run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    arguments = parser.parse_args()
    set_quiet(True)
    moments = random.Random(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="kill-resume-"))
    try:
        findings = measure(folder, arguments.kills, arguments.steps, moments, arguments.optimizer)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    passed = (
        findings["exact_runs"] == findings["runs"]
        and findings["kills"] == arguments.kills
        and findings["other_seed_differs"]
        and findings["repeat_equal"]
    )
    if arguments.json:
        print(json.dumps(findings | {"passed": passed}))
    else:
        for name, value in findings.items():
            print(f"{name:22} {value}")
        print(f"{'failure rate below':22} {1 - 0.05 ** (1 / max(1, findings['kills'])):.1%} (95 %)")
        print("PASSED" if passed else "FAILED")
    return 0 if passed else 1


def measure(
    folder: Path, n_kills: int, n_steps: int, moments: random.Random, optimizer: Literal["adamw", "muon"]
) -> dict[str, Any]:
    started = time.monotonic()
    durations = []
    for name, seed in (("whole", 0), ("repeat", 0), ("other", 1)):
        begin = time.monotonic()
        Session(folder / name, n_steps, seed, optimizer, resume=False).wait()
        durations.append(time.monotonic() - begin)
    whole, duration = outcome(folder / "whole"), min(durations)
    kills: list[int] = []
    in_a_save = runs = exact = 0
    while len(kills) < n_kills:
        path = folder / f"run{runs}"
        resume = False
        for _ in range(min(moments.randint(1, 4), n_kills - len(kills))):
            newest = latest_checkpoint(path / "checkpoints")
            left = 1 - (int(newest.name.removeprefix("step-")) if newest else 0) / n_steps
            if not Session(path, n_steps, 0, optimizer, resume=resume).kill_after(moments.uniform(0, duration * left)):
                break
            kills.append(steps_done(path))
            in_a_save += any((path / "checkpoints").glob(".hanmo-tmp-*"))
            resume = True
        Session(path, n_steps, 0, optimizer, resume=True).wait()
        runs += 1
        exact += outcome(path) == whole
        shutil.rmtree(path)
    other = outcome(folder / "other")
    return {
        "kills": len(kills),
        "runs": runs,
        "exact_runs": exact,
        "steps_per_run": n_steps,
        "kills_before_step_1": kills.count(0),
        "kills_in_a_save": in_a_save,
        "kills_between": sum(0 < step < n_steps for step in kills),
        "steps_at_kill": sorted(kills),
        "repeat_equal": outcome(folder / "repeat") == whole,
        "other_seed_differs": all(other["sha256"][n] != h for n, h in whole["sha256"].items())
        and other["log"] != whole["log"],
        "seconds_per_run": round(duration, 2),
        "seconds": round(time.monotonic() - started, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
