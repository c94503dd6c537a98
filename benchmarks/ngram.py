"""Kneser–Ney n-grams: training, memory and scoring beside kenlm.

    python benchmarks/ngram.py FOLDER [--words 12000000] [--order 5] [--repeats 3] [--lmplz PATH] [--threads 2]

On the corpus of word_corpus.py (made in FOLDER unless it is there), without every 20th sentence, which is held out.
Training is the whole process from a text file on disk to a model on disk, each in a process of its own, in turn: ours
to the mapped form and, once more, to an ARPA file as lmplz writes it. --lmplz is kenlm's binary (cmake, make lmplz);
without it only ours is timed. Scoring is of all held-out sentences from a list of Python strings, in one thread, beside
kenlm's Python module where it is installed, which reads the same ARPA file. Perplexities are compared before anything
is timed.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine_line import machine_line, spread
from word_corpus import build_corpus

from hanmo.ngrams import load

SEED = 0
HELD_OUT_EVERY = 20

TRAIN = """
import sys
from hanmo.ngrams import train
model = train(sys.argv[1], order=int(sys.argv[2]), unit="word")
model.write_arpa(sys.argv[3]) if sys.argv[3].endswith(".arpa") else model.save(sys.argv[3])
"""


def split(corpus: Path, folder: Path) -> tuple[Path, list[str], int]:
    """The training file, the held-out sentences, and the words of the training file."""
    train, heldout, n_words = folder / f"{corpus.stem}.train.txt", [], 0
    with open(corpus, encoding="utf-8") as source, open(train, "w", encoding="utf-8") as out:
        for number, line in enumerate(source):
            if number % HELD_OUT_EVERY == 0:
                heldout.append(line.rstrip("\n"))
            else:
                out.write(line)
                n_words += line.count(" ") + 1
    return train, heldout, n_words


def run(command: list[str], threads: int) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and peak resident memory in megabytes of a process."""
    environment = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"{command[0]} failed:\n{said}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def race_training(commands: dict[str, list[str]], n_words: int, repeats: int, threads: int) -> None:
    """Time all of them in turn and print words per second and memory."""
    print(f"\ntraining, {n_words:,} words, text file to model on disk, thousand words/s")
    rates: dict[str, list[float]] = {name: [] for name in commands}
    busy, peaks = dict.fromkeys(commands, math.inf), dict.fromkeys(commands, 0.0)
    order = list(commands)
    for _ in range(repeats):
        order.append(order.pop(0))
        for name in order:
            seconds, busy_seconds, peak = run(commands[name], threads)
            rates[name].append(n_words / seconds / 1000)
            busy[name], peaks[name] = min(busy[name], busy_seconds), max(peaks[name], peak)
    ours = sorted(rates["hanmo, ARPA"])[repeats // 2]
    for name, found in rates.items():
        ratio = f"; hanmo, ARPA is {ours / sorted(found)[repeats // 2]:.1f} x" if not name.startswith("hanmo") else ""
        print(
            f"  {name:14s} {spread(found)}, {busy[name]:.1f} s of processor, peak memory {peaks[name]:,.0f} MB{ratio}"
        )


def race_scoring(contestants: dict[str, Callable[[], object]], n_words: int, repeats: int) -> None:
    """Time all of them in turn and print words per second."""
    print(f"\nscoring of whole sentences, {n_words:,} words and sentence ends, one thread, thousand words/s")
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for name in order:
        contestants[name]()
    for _ in range(repeats):
        order.append(order.pop(0))
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            rates[name].append(n_words / (time.perf_counter() - start) / 1000)
    ours = sorted(rates["hanmo"])[repeats // 2]
    for name, found in rates.items():
        ratio = f"; hanmo is {ours / sorted(found)[repeats // 2]:.1f} x" if not name.startswith("hanmo") else ""
        print(f"  {name:14s} {spread(found)}{ratio}")


def main() -> None:
    """Compare, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--words", type=int, default=12_000_000)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lmplz", type=Path, help="kenlm's lmplz")
    parser.add_argument("--lmplz-memory", default="80%", help="its -S")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    print(machine_line(SEED, "numba"))
    train, heldout, n_words = split(build_corpus(folder, arguments.words), folder)
    order = str(arguments.order)
    ours, arpa, theirs = folder / f"model-{order}", folder / f"model-{order}.arpa", folder / f"lmplz-{order}.arpa"
    commands = {
        "hanmo": [sys.executable, "-c", TRAIN, str(train), order, str(ours)],
        "hanmo, ARPA": [sys.executable, "-c", TRAIN, str(train), order, str(arpa)],
    }
    if arguments.lmplz is not None:
        commands["lmplz"] = [
            str(arguments.lmplz), "-o", order, "--text", str(train), "--arpa", str(theirs), "-T", str(folder),
            "-S", arguments.lmplz_memory,
        ]  # fmt: skip
    else:
        print("no --lmplz: training is not compared")
    for command in commands.values():  # numba compiles here, and the models are there to be compared
        run(command, arguments.threads)

    # first, for a process inherits the peak memory of this one, which has no model yet
    race_training(commands, n_words, arguments.repeats, arguments.threads)
    start = time.perf_counter()
    model = load(ours)
    print(
        f"loaded in {1000 * (time.perf_counter() - start):.1f} ms; {(ours / 'ngram.safetensors').stat().st_size / 1e6:,.0f} MB on disk"
    )
    n_scored = sum(line.count(" ") + 2 for line in heldout)
    perplexities = {"hanmo": 10 ** (-model.log10(heldout).sum() / n_scored)}
    in_memory = load(ours, in_memory=True)
    scorers: dict[str, Callable[[], object]] = {
        "hanmo": lambda: in_memory.log10(heldout), "hanmo, mapped": lambda: model.log10(heldout),
    }  # fmt: skip
    if importlib.util.find_spec("kenlm") is not None:
        import kenlm  # pyright: ignore[reportMissingImports]

        rival = kenlm.Model(str(theirs if theirs.exists() and "lmplz" in commands else arpa))
        perplexities["kenlm"] = 10 ** (-sum(rival.score(line) for line in heldout) / n_scored)
        scorers["kenlm"] = lambda: [rival.score(line) for line in heldout]
    else:
        print("kenlm is not installed: scoring is not compared")
    print(
        "perplexity on held-out sentences: " + ", ".join(f"{name} {found:.4f}" for name, found in perplexities.items())
    )
    assert np.ptp(list(perplexities.values())) < 1e-3 * perplexities["hanmo"], "the models differ"
    race_scoring(scorers, n_scored, arguments.repeats)


if __name__ == "__main__":
    main()
