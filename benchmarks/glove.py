"""GloVe beside the Stanford program: seconds from a text file to vectors, loss, quality over seeds, and how cost grows.

    python benchmarks/glove.py --folder FOLDER [--glove-c DIR] [--words 12000000] [--epochs 15] [--repeats 3]
        [--threads 2] [--window 10] [--seeds 5 --quality-words 12000000 --quality-epochs 15] [--scaling 1 3 10]
        [--root FOLDER]...

DIR holds vocab_count, cooccur, shuffle and glove, built from the sources of nlp.stanford.edu/projects/glove as they
come. The corpus is real text from what is on this machine (`word_corpus.py`), kept in FOLDER. Contestants run in
processes of their own, one after the other in each round, in an order that turns: from the text file on disk to saved
vectors (GloVe text), dim 100, min_count 5, x_max 100, alpha 0.75, a rate of 0.05, symmetric windows; the C programs
with 4 GB of memory each, as their demo has it. "Counting" is up to the shuffled co-occurrences, "training" all epochs.
hanmo compiles its kernels once per machine; its first process, in which that happens, is shown and not counted. The
loss is the mean of the last epoch as either reports it, each co-occurrence before it is learnt from.

Quality: Spearman correlation on word similarity sets and accuracy of 3CosAdd on questions-words, from HANMO_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine_line import machine_line, spread
from word_corpus import build_corpus, text_roots

from hanmo.core.files import sha256_file
from hanmo.core.progress import set_quiet
from vectors import TESTS, scores

DIM, MIN_COUNT = 100, 5


def contestant_hanmo(corpus: Path, out: Path, epochs: int, window: int, seed: int, threads: int) -> dict[str, float]:
    """Read, count, train and save in this process, as `hanmo.vectors.train` does."""
    from hanmo.tokenizers.word_ids import read_word_ids
    from hanmo.vectors import glove
    from hanmo.vectors.glove_settings import GloveSettings

    set_quiet(True)
    counting, count_tiles = [], glove.count_tiles

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        tiles = count_tiles(*arguments)
        counting.append(time.perf_counter() - start)
        return tiles

    glove.count_tiles = timed  # pyright: ignore[reportPrivateImportUsage]
    start = time.perf_counter()
    text = read_word_ids(corpus, min_count=MIN_COUNT)
    read = time.perf_counter() - start
    settings = GloveSettings(dim=DIM, epochs=epochs, window=window, seed=seed, threads=threads)
    vectors = glove.train_glove(text, settings)
    training = time.perf_counter() - start - read - counting[0]
    vectors.save(out, "glove")
    found = {"words": text.n_read, "counting": read + counting[0], "training": training}
    return found | {"loss": vectors.meta["losses"][-1]}


def run_c(
    programs: Path, corpus: Path, out: Path, epochs: int, window: int, seed: int, threads: int
) -> dict[str, float]:
    """The four programs, one after the other."""
    vocabulary, counts, shuffled = (out.with_suffix(f".{name}") for name in ("vocab", "counts", "shuffled"))
    memory = ["-memory", "4.0", "-verbose", "0"]
    steps = [
        (corpus, vocabulary, ["vocab_count", "-min-count", MIN_COUNT, "-verbose", "0"]),
        (corpus, counts, ["cooccur", *memory, "-vocab-file", vocabulary, "-window-size", window,
                          "-overflow-file", out.with_suffix(".overflow")]),
        (counts, shuffled, ["shuffle", *memory, "-seed", seed, "-temp-file", out.with_suffix(".temporary")]),
        (shuffled, None, ["glove", "-input-file", shuffled, "-vocab-file", vocabulary, "-save-file", out.with_suffix(""),
                          "-vector-size", DIM, "-iter", epochs, "-threads", threads, "-x-max", 100, "-binary", 0,
                          "-seed", seed, "-verbose", 1]),
    ]  # fmt: skip
    times, peaks, messages = [], [], b""
    for source, target, command in steps:
        with open(source, "rb") as text, open(target or os.devnull, "wb") as result, tempfile.TemporaryFile() as said:
            start = time.perf_counter()
            program = [str(programs / command[0]), *map(str, command[1:])]
            process = subprocess.Popen(program, stdin=text, stdout=result, stderr=said)
            _, status, usage = os.wait4(process.pid, 0)
            assert status == 0, f"{command[0]} failed"
            times.append(time.perf_counter() - start)
            peaks.append(usage.ru_maxrss * 1024)
            said.seek(0)
            messages = said.read()
    for file in (vocabulary, counts, shuffled):
        file.unlink()
    loss = float(re.findall(rb"cost: ([\d.a-z]+)", messages)[-1])
    return {"whole": sum(times), "counting": sum(times[:3]), "training": times[3], "loss": loss, "memory": max(peaks)}


def run(name: str, corpus: Path, folder: Path, epochs: int, seed: int, arguments: Any) -> dict[str, float]:
    """One contestant: seconds of its parts and of all, loss, peak memory in bytes."""
    out = folder / f"{name}.txt"
    if name == "glove-c":
        return run_c(arguments.glove_c, corpus, out, epochs, arguments.window, seed, arguments.threads)
    request = [str(corpus), str(out), epochs, arguments.window, seed, arguments.threads]
    with tempfile.TemporaryFile() as answer:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, __file__, "--contestant", json.dumps(request)], stdout=answer)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        assert status == 0, "hanmo failed"
        answer.seek(0)
        return {**json.loads(answer.read()), "whole": seconds, "memory": usage.ru_maxrss * 1024}


def race(names: list[str], corpus: Path, folder: Path, arguments: Any) -> None:
    """All in turn; medians, spread and ratios."""
    print(f"\n{arguments.epochs} epochs, window {arguments.window}, {arguments.threads} threads, seconds", flush=True)
    warm = run("hanmo", corpus, folder, 1, 1, arguments)
    print(f"  hanmo, first process (compiles unless it has before), 1 epoch: {warm['whole']:.1f} s")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    order = list(names)
    for _ in range(arguments.repeats):
        for name in order:
            found[name].append(run(name, corpus, folder, arguments.epochs, 1, arguments))
        order.append(order.pop(0))
    for part in ("counting", "training", "whole"):
        ours = [result[part] for result in found["hanmo"]]
        for name, results in found.items():
            values = [result[part] for result in results]
            ratios = sorted(theirs / own for theirs, own in zip(values, ours, strict=True))
            ratio = f"  hanmo is {np.median(ratios):.2f} x [{ratios[0]:.2f}..{ratios[-1]:.2f}]"
            print(f"  {part:9s} {name:8s} {spread(values)}{ratio if name != 'hanmo' else ''}")
    for name, results in found.items():
        losses = sorted(result["loss"] for result in results)
        memory = max(result["memory"] for result in results) / 2**20
        print(f"  {name:8s} loss {losses[0]:.6f}..{losses[-1]:.6f}, peak memory {memory:,.0f} MiB")


def quality(names: list[str], corpus: Path, folder: Path, data: Path, arguments: Any) -> None:
    """Mean and standard deviation over seeds, all contestants on the same text."""
    print(f"\nquality, {arguments.quality_epochs} epochs, {arguments.seeds} seeds", flush=True)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for seed in range(1, arguments.seeds + 1):
        for name in names:
            result = run(name, corpus, folder, arguments.quality_epochs, seed, arguments)
            found[name].append(scores(folder / f"{name}.txt", data) | {"loss x 1000": 1000 * result["loss"]})
    for test in (*TESTS, "loss x 1000"):
        values = {name: np.array([result[test] for result in results]) for name, results in found.items()}
        for name, theirs in values.items():
            deviation = theirs.std(ddof=1) if len(theirs) > 1 else 0.0
            line = f"  {test:11s} {name:8s} {theirs.mean():7.3f} +- {deviation:.3f}"
            if name != "hanmo" and deviation > 0:
                ahead = values["hanmo"].mean() - theirs.mean()
                line += f"  hanmo {ahead:+.3f}, {ahead / deviation:+.1f} sd"
            print(line)


def scaling(corpus: Path, folder: Path, millions: list[int], arguments: Any) -> None:
    """Seconds and peak memory for the first so many million words of the corpus."""
    print(
        "\nscaling, 1 epoch: million words, seconds up to the co-occurrences, of the epoch, of all, peak memory in MiB"
    )
    data = corpus.read_bytes()
    for size in sorted(millions):
        end = data.find(b"\n", int(len(data) * min(1e6 * size / arguments.words, 1.0)) - 1) + 1
        part = folder / f"glove-scaling-{size}.txt"
        part.write_bytes(data[: end or len(data)])
        result = run("hanmo", part, folder, 1, 1, arguments)
        part.unlink()
        seconds = "".join(f"{result[key]:8.2f}" for key in ("counting", "training", "whole"))
        print(f"  {result['words'] / 1e6:6.1f} {seconds} {result['memory'] / 2**20:8,.0f}", flush=True)


def main() -> None:
    """Build the corpus, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--glove-c", type=Path)
    parser.add_argument("--words", type=int, default=12_000_000)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quality-words", type=int)
    parser.add_argument("--quality-epochs", type=int, default=15)
    parser.add_argument("--scaling", type=int, nargs="*", default=[1, 3, 10])
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        corpus, out, *numbers = json.loads(arguments.contestant)
        print(json.dumps(contestant_hanmo(Path(corpus), Path(out), *numbers)))
        return
    set_quiet(True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        roots = [*text_roots(), *arguments.root]
        corpus = build_corpus(folder, arguments.words, roots)
        print(machine_line(1, "numba"))
        print(f"corpus {corpus.name}: {corpus.stat().st_size:,} bytes, sha256 {sha256_file(corpus)[:16]}")
        names = ["hanmo"]
        if arguments.glove_c:
            names.append("glove-c")
        else:
            print("no --glove-c: the Stanford program does not run beside")
        if arguments.repeats:
            race(names, corpus, folder, arguments)
        data = os.environ.get("HANMO_DATA")
        if data is None:
            print("\nHANMO_DATA is not set: no quality")
        elif arguments.seeds:
            text = build_corpus(folder, arguments.quality_words or arguments.words, roots)
            quality(names, text, folder, Path(data), arguments)
        if arguments.scaling:
            scaling(corpus, folder, arguments.scaling, arguments)


if __name__ == "__main__":
    main()
