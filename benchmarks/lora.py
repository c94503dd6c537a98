"""A step of low-rank adaptation beside the least that a frozen model can cost, and its memory beside full fine-tuning.

    python benchmarks/lora.py [--rank 8] [--rows 32] [--tokens 64] [--repeats 15] [--checkpoint PATH]

The ideal is forward and backward through the frozen model, to the output of its embeddings, without any gradient of a
weight and without an optimizer; a step of LoRA has the gradients of its matrices and of the head, and an update by AdamW.
Steps alternate in one process; ratios are of medians, with those of the fastest steps beside them. Memory is what a
process of its own takes at its peak, above what it had before there was a model. Figures of the project: at most 1.05 x
the ideal, at most 60 % of the memory of full fine-tuning, under 2 % of the parameters.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine_line import machine_line
from minilm import minilm

from hanmo.models.adapter_settings import LoraSettings
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import read_model
from hanmo.tasks.adapted import adapt

KINDS: dict[str, dict[str, Any]] = {
    "lora, queries and values": {"targets": ("query", "value")},
    "lora, all matrices": {},
    "lora, all matrices, base in bf16": {"base_dtype": "bfloat16"},
    "lora, all matrices, base in int8": {"base_dtype": "int8"},
}


def classifier(checkpoint: str) -> Any:
    """The encoder with a fresh head for two classes, without dropout."""
    return read_model(
        checkpoint, architecture="BertForSequenceClassification",
        changes={"labels": ("no", "yes"), "dropout": 0.0, "dropout_attention": 0.0},
    ).train()  # fmt: skip


def batch(rows: int, tokens: int, seed: int) -> dict[str, torch.Tensor]:
    """Random ids and labels."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(1000, 30_000, (rows, tokens), generator=draw)
    return {"input_ids": ids, "labels": torch.randint(2, (rows,), generator=draw)}


def step(model: Any, inputs: dict[str, torch.Tensor], *, update: bool) -> Callable[[], None]:
    """One step, to be called again and again."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True) if update else None

    def take() -> None:
        model(**inputs).loss.backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()

    return take


def made(kind: str, arguments: argparse.Namespace) -> Callable[[], None]:
    """The step of this kind, on a model of its own."""
    model = classifier(arguments.checkpoint)
    inputs = batch(arguments.rows, arguments.tokens, arguments.seed)
    if kind == "full":
        return step(model, inputs, update=True)
    if kind == "ideal":
        model.requires_grad_(False)
        model.backbone.embedding.register_forward_hook(lambda _module, _inputs, out: out.requires_grad_())
        return step(model, inputs, update=False)
    n_all = sum(p.numel() for p in model.parameters())
    adapters = adapt(model, LoraSettings(rank=arguments.rank, **KINDS[kind]), arguments.checkpoint)
    model.train()
    n_trained = sum(p.numel() for p in adapters["default"].trained())
    print(f"{kind}: {n_trained:,} beside {n_all:,} parameters, {n_trained / (n_all + n_trained):.2%}", file=sys.stderr)
    return step(model, inputs, update=True)


def peak(kind: str, arguments: argparse.Namespace) -> None:
    """Print the bytes that a few steps need."""
    # what libraries take on first use, compiled kernels among them, is no part of it
    small = BertConfig(vocab_size=30_000, d_model=32, n_layers=1, n_heads=2, max_len=64, labels=("no", "yes"))
    step(bert(small, "BertForSequenceClassification"), batch(2, 8, 0), update=True)()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    take = made(kind, arguments)
    for _ in range(3):
        take()
    print(resident("VmHWM") - before)


def resident(which: str) -> int:
    """Bytes of this process in memory, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:")) * 1024


def main() -> None:
    """See the top of this file."""
    parser = argparse.ArgumentParser()
    for name, value in (("rank", 8), ("rows", 32), ("tokens", 64), ("repeats", 15), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--peak", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.checkpoint = arguments.checkpoint or str(minilm())
    if arguments.peak is not None:
        peak(arguments.peak, arguments)
        return
    print(machine_line(arguments.seed), f"threads {torch.get_num_threads()}")
    print(f"# {arguments.rows} rows of {arguments.tokens} tokens, rank {arguments.rank}, float32")
    steps = {kind: made(kind, arguments) for kind in ("ideal", "full", *KINDS)}
    seconds: dict[str, list[float]] = {kind: [] for kind in steps}
    for repeat in range(arguments.repeats + 2):
        for kind, take in steps.items():
            start = time.perf_counter()
            take()
            if repeat >= 2:
                seconds[kind].append(time.perf_counter() - start)
    shared = [f"--{name}={getattr(arguments, name)}" for name in ("rank", "rows", "tokens", "seed", "checkpoint")]
    memory = {}
    for kind in steps:
        if kind != "ideal":
            command = [sys.executable, __file__, *shared, f"--peak={kind}"]
            memory[kind] = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ideal = seconds["ideal"]
    for kind, times in seconds.items():
        ratio = statistics.median(times) / statistics.median(ideal)
        line = (
            f"{kind:<34} {statistics.median(times) * 1000:8.1f} ms {ratio:6.3f} x ideal ({min(times) / min(ideal):.3f})"
        )
        if kind in memory:
            line += f"  {memory[kind] / 2**20:7.0f} MiB, {memory[kind] / memory['full']:.0%} of full"
        print(line)


if __name__ == "__main__":
    main()
