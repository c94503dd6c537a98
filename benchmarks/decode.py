"""Greedy decoding, batch 1: `hanmo.load(...).generate` beside every setting of `transformers` generate.

    python benchmarks/decode.py [--model DIR] [--prompt-tokens 64] [--new-tokens 128] [--repeats 7] [--rivals fp32,bf16]

All contestants run in this process, one after the other in each round, in an order that turns; each is warmed up
first (compiling included, its time is shown). Tokens per second count the new tokens of a whole call. Figures of the
project: at least 4 x transformers fp32, at least 2.5 x its best setting, same greedy tokens as its fp32.
Without --model, a GPT-2 of 6 layers, width 384, context 256, vocabulary 8192 with random weights is written first;
the greedy text of random weights repeats itself, so judge guessing ahead by a trained model (--model).
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

import hanmo
from hanmo.core.machine import describe_machine
from hanmo.generation import GenerationSettings, decode, supports
from hanmo.generation.fast import FastRow
from hanmo.models.directory import write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.tasks.language_model import LanguageModel
from hanmo.tokenizers.bpe import train_bpe

SEED = 0
RIVALS = ("fp32", "bf16", "fp32 static", "bf16 static", "fp32 static compiled", "bf16 static compiled")


def write_random_model(folder: Path) -> None:
    """A GPT-2 of 14 M parameters as it is before training, with a tokenizer of its size."""
    torch.manual_seed(SEED)
    standard_library = sorted(Path(argparse.__file__).parent.glob("*.py"))
    tokenizer = train_bpe((path.read_text(errors="replace") for path in standard_library), 8192)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, max_len=256, d_model=384, n_layers=6, n_heads=6)
    write_model(folder, gpt2(config).eval())
    tokenizer.save(folder)


def rival(folder: Path, name: str) -> Callable[[torch.Tensor, int], list[int]]:
    """One setting of transformers: ids (1, T) and a number of new tokens → those tokens."""
    dtype = torch.bfloat16 if name.startswith("bf16") else torch.float32
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    extra: dict[str, Any] = {}
    if "static" in name:
        extra["cache_implementation"] = "static"
        extra["disable_compile"] = True
    if "compiled" in name:
        # On a CPU generate does not compile by itself: compiled as its documentation shows.
        model.forward = torch.compile(model.forward, mode="default", fullgraph=True)

    def run(ids: torch.Tensor, n: int) -> list[int]:
        mask = torch.ones_like(ids)
        out = model.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=n, min_new_tokens=n, pad_token_id=0, **extra
        )
        return out[0, ids.shape[1] :].tolist()

    return run


def ours(lm: LanguageModel, prompt: str, n: int) -> Callable[[torch.Tensor, int], Any]:
    """What a user calls: text in, text out."""
    return lambda ids, count: lm.generate(prompt, max_new_tokens=n)


def prompt_of(lm: LanguageModel, n_tokens: int) -> str:
    """The beginning of a real source file whose tokens are exactly `n_tokens`."""
    text = Path(statistics.__file__).read_text()
    for end in range(n_tokens, len(text)):
        if len(lm.tokenizer.encode(text[:end])) == n_tokens:
            return text[:end]
    raise SystemExit(f"no prompt of {n_tokens} tokens")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a trained model directory")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rivals", default=",".join(RIVALS), help=f"some of: {', '.join(RIVALS)}")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.model or Path(temporary) / "model"
        if arguments.model is None:
            write_random_model(folder)
        compare(folder, arguments)


def compare(folder: Path, arguments: argparse.Namespace) -> None:
    """All contestants on one model."""
    n = arguments.new_tokens
    lm = hanmo.load(folder, device="cpu")
    lm.eos_ids = ()  # every contestant writes all n tokens
    prompt = prompt_of(lm, arguments.prompt_tokens)
    prompt_ids = lm.tokenizer.encode(prompt)
    ids = torch.tensor([prompt_ids])
    machine = describe_machine()
    print(
        f"{machine.processor}, {arguments.threads} threads; torch {torch.__version__}, transformers {transformers.__version__}"
    )
    kind = "given model" if arguments.model else "random weights"
    print(
        f"{folder.name} ({kind}): {sum(p.numel() for p in lm.model.parameters()):,} parameters; seed {SEED}; {len(prompt_ids)} + {n} tokens"
    )

    contestants: dict[str, Callable[[torch.Tensor, int], Any]] = {"hanmo": ours(lm, prompt, n)}
    for name in arguments.rivals.split(","):
        contestants[f"transformers {name}"] = rival(folder, name)
    for name, run in list(contestants.items()):
        start = time.perf_counter()
        try:
            run(ids, n)
        except Exception as error:  # a rival's setting that fails here is reported, the others go on
            print(f"{name}: left out, {type(error).__name__}: {str(error).splitlines()[0][:100]}")
            del contestants[name]
            continue
        print(f"{name}: first call {time.perf_counter() - start:.1f} s")

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(arguments.repeats):
        order.append(order.pop(0))
        for name in order:
            start = time.perf_counter()
            contestants[name](ids, n)
            seconds[name].append(time.perf_counter() - start)

    speeds = {name: n / statistics.median(times) for name, times in seconds.items()}
    for name, times in seconds.items():
        spread = f"[{n / max(times):.0f}..{n / min(times):.0f}]"
        print(f"{name:40s} {speeds[name]:8.0f} tokens/s {spread:16s} hanmo is {speeds['hanmo'] / speeds[name]:.2f} x")
    rivals = {name: speed for name, speed in speeds.items() if name != "hanmo"}
    if rivals:
        best = max(rivals, key=lambda name: rivals[name])
        print(f"best rival: {best}; hanmo / best = {speeds['hanmo'] / rivals[best]:.2f}")

    tokens = [step[0] for step in decode(lm.model, [prompt_ids], GenerationSettings(max_new_tokens=n))]
    if "transformers fp32" in contestants:
        print("tokens equal to transformers fp32:", tokens == contestants["transformers fp32"](ids, n))
    print(
        "text equal to the tokens:",
        lm.tokenizer.decode([t for t in tokens if t is not None]) == lm.generate(prompt, max_new_tokens=n),
    )
    if supports(lm.model):
        print(f"distinct tokens in the text: {len(set(tokens))} of {n}")
        for label, n_draft, pause in (
            ("one by one", 0, 0),
            ("draft weights only", 7, 10**9),
            ("copies and draft weights", 7, 0),
        ):
            times = []
            calls = 0
            for _ in range(arguments.repeats):
                start = time.perf_counter()
                row = FastRow(lm.model, prompt_ids, len(prompt_ids) + n, n_draft=n_draft)
                row._pause = pause
                calls = count_calls(row, n)
                times.append(time.perf_counter() - start)
            print(f"kernels, {label:26s} {n / statistics.median(times):8.0f} tokens/s, {calls} passes")


def count_calls(row: FastRow, n: int) -> int:
    """Decode n tokens; returns how many passes over the exact weights it took."""
    run, calls = row._run, []
    row._run = lambda *values: calls.append(1) or run(*values)  # type: ignore[method-assign]
    for _ in range(n):
        row.next_greedy()
    return len(calls)


if __name__ == "__main__":
    main()
