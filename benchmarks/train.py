"""Training speed beside `transformers`: same shape, same text, same initial weights, same AdamW, in one run.

python benchmarks/train.py [--rounds 2] [--steps 8] [--only hanmo,hf-fp32]

A GPT-2 of 6 layers, width 384, context 256, vocabulary 8192, batch 16, on Python's standard library. Each setting
runs in a process of its own; settings alternate over the rounds. The first steps (compilation, warm-up of the
allocator) are not counted. Losses are compared step by step, so that speed is not bought with another result.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine_line import machine_line, spread

LAYERS, WIDTH, HEADS, CONTEXT, VOCABULARY, BATCH = 6, 384, 6, 256, 8192, 16
LR, CLIP, WARM = 1e-3, 1.0, 3
SETTINGS = ("hanmo", "hf-fp32", "hf-fp32-medium", "hf-fp32-compile", "hf-bf16", "hf-trainer-fp32", "hf-trainer-bf16")
PARAMETERS = 12 * LAYERS * WIDTH**2
FLOP_PER_TOKEN = 6 * (VOCABULARY * WIDTH + PARAMETERS) + 12 * LAYERS * WIDTH * CONTEXT
"""Multiply-adds counted as two, full attention, forward and backward."""


def prepare(work: Path, seed: int) -> None:
    """Token ids of real text, and one random model that every setting starts from."""
    import numpy as np
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from hanmo.corpora.sources.stdlib import list_stdlib
    from hanmo.tokenizers.bpe import train_bpe

    files, _ = list_stdlib()
    texts = [Path(file.path).read_text(encoding="utf-8", errors="ignore") for file in files[:500]]
    tokenizer = train_bpe(texts, VOCABULARY)
    ids = np.concatenate([np.array(row, np.uint16) for row in tokenizer.encode_batch(texts)])
    np.save(work / "ids.npy", ids)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(work / "model")


def batches(work: Path, seed: int) -> Any:
    """The loader that every setting reads from."""
    import numpy as np

    from hanmo.batches.blocks import TokenBlocks

    return TokenBlocks(np.load(work / "ids.npy"), block_len=CONTEXT, batch_size=BATCH, seed=seed)


def run_hanmo(work: Path, steps: int, seed: int) -> dict[str, Any]:
    """Through `hanmo.training.loop.fit`, as a recipe runs it."""
    import torch

    from hanmo.core.devices import choose_compute
    from hanmo.core.progress import set_quiet
    from hanmo.core.runs import RunFolder
    from hanmo.models.directory import read_model
    from hanmo.tasks.causal_lm import causal_lm_loss
    from hanmo.training.loop import fit
    from hanmo.training.settings import ScheduleSettings, TrainingSettings

    set_quiet(True)
    stamps, losses = [], []

    def on_step(event: dict[str, Any]) -> None:
        stamps.append(time.perf_counter())
        losses.append(event["loss"])

    compute = choose_compute(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            read_model(work / "model"), loss=causal_lm_loss, batches=batches(work, seed), evaluate=None,
            settings=TrainingSettings(
                n_steps=WARM + steps, lr=LR, clip_norm=CLIP, weight_decay=0.1, checkpoint_seconds=None, seed=seed,
                schedule=ScheduleSettings(warmup_steps=0, final_fraction=1.0), compile="on" if compute.compile else "off",
            ),
            run=RunFolder(folder), identity={}, compute=compute, on_step=on_step,
        )  # fmt: skip
    times = [b - a for a, b in zip(stamps[WARM - 1 :], stamps[WARM:], strict=False)]
    return {"times": times, "losses": losses, "note": f"compiled {result.compiled}, autocast {compute.autocast}"}


def run_loop(work: Path, steps: int, seed: int, setting: str) -> dict[str, Any]:
    """A plain transformers loop, as a user writes it."""
    import torch
    from transformers import GPT2LMHeadModel

    if "medium" in setting:
        torch.set_float32_matmul_precision("medium")
    model: Any = GPT2LMHeadModel.from_pretrained(work / "model").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.1)
    forward = torch.compile(model) if "compile" in setting else model
    source, times, losses = batches(work, seed), [], []
    for step in range(WARM + steps):
        start = time.perf_counter()
        batch = source.next()
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in setting):
            logits = forward(input_ids=batch["input_ids"]).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch["labels"].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step >= WARM:
            times.append(time.perf_counter() - start)
    return {"times": times, "losses": losses, "note": ""}


def run_trainer(work: Path, steps: int, seed: int, setting: str) -> dict[str, Any]:
    """transformers' Trainer with the same hyperparameters."""
    import torch
    from transformers import GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    source, stamps = batches(work, seed), []
    rows = [row for _ in range(WARM + steps + 1) for row in source.next()["input_ids"]]

    class Data(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"input_ids": rows[index], "labels": rows[index]}

    class Stamps(TrainerCallback):
        def on_step_end(self, *arguments: Any, **rest: Any) -> None:
            stamps.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=str(work / "trainer"), per_device_train_batch_size=BATCH, max_steps=WARM + steps, use_cpu=True,
        bf16="bf16" in setting, report_to=[], logging_steps=1000, save_strategy="no", disable_tqdm=True,
        learning_rate=LR, lr_scheduler_type="constant", weight_decay=0.1, adam_beta2=0.95, max_grad_norm=CLIP,
    )  # fmt: skip
    model = GPT2LMHeadModel.from_pretrained(work / "model")
    Trainer(model=model, args=arguments, train_dataset=Data(), callbacks=[Stamps()]).train()
    return {"times": [b - a for a, b in zip(stamps[WARM - 1 :], stamps[WARM:], strict=False)], "losses": [], "note": ""}


def worker(setting: str, work: Path, steps: int, seed: int) -> None:
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if setting == "hanmo":
        result = run_hanmo(work, steps, seed)
    elif "trainer" in setting:
        result = run_trainer(work, steps, seed, setting)
    else:
        result = run_loop(work, steps, seed, setting)
    print("RESULT " + json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(SETTINGS))
    parser.add_argument("--worker", nargs=2, metavar=("SETTING", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker[0], Path(arguments.worker[1]), arguments.steps, arguments.seed)
        return
    print(machine_line(arguments.seed, "transformers", "accelerate"))
    rates: dict[str, list[float]] = {}
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), arguments.seed)
        for _ in range(arguments.rounds):
            for setting in arguments.only.split(","):
                result = _run(setting, folder, arguments)
                if result is None:
                    continue
                rates.setdefault(setting, []).extend(BATCH * CONTEXT / seconds for seconds in result["times"])
                losses[setting] = result["losses"]
                last = f"loss {result['losses'][-1]:.4f}" if result["losses"] else ""
                print(f"  {setting:<18} {median(rates[setting]):8,.0f} tok/s  {last} {result['note']}", flush=True)
    print()
    for setting, values in rates.items():
        gflops = median(values) * FLOP_PER_TOKEN / 1e9
        print(f"{setting:<18} {spread(values)} tok/s, {gflops:.0f} GFLOP/s")
    rivals = {name: median(values) for name, values in rates.items() if name != "hanmo"}
    if "hanmo" in rates and rivals:
        ours, best = median(rates["hanmo"]), max(rivals, key=lambda name: rivals[name])
        if "hf-fp32" in rivals:
            print(f"hanmo / hf-fp32 = {ours / rivals['hf-fp32']:.2f}")
        print(f"hanmo / best transformers setting ({best}) = {ours / rivals[best]:.2f}")
        if losses.get("hf-fp32"):
            gaps = [abs(a - b) for a, b in zip(losses["hanmo"], losses["hf-fp32"], strict=True)]
            print(f"largest difference of losses to hf-fp32 over {len(gaps)} steps: {max(gaps):.4f}")


def _run(setting: str, folder: str, arguments: argparse.Namespace) -> dict[str, Any] | None:
    command = [
        sys.executable,
        __file__,
        "--worker",
        setting,
        folder,
        "--steps",
        str(arguments.steps),
        "--seed",
        str(arguments.seed),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=False
    )
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    print(f"  {setting} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return None


if __name__ == "__main__":
    main()
