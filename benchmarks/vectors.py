"""word2vec beside gensim and the original C program: words a second, quality over seeds, and how cost grows.

    python benchmarks/vectors.py --folder FOLDER [--words 12000000] [--repeats 3] [--methods skipgram cbow]
        [--word2vec-c PROGRAM] [--seeds 5 --quality-words 12000000 --quality-epochs 3] [--scaling 1 3 10 30]
        [--threads 2] [--root FOLDER]...

The corpus is real text from what is on this machine (`word_corpus.py`), kept in FOLDER. Each contestant runs in a
process of its own, one after the other in each round, in an order that turns: from the text file on disk to saved
vectors (word2vec binary), one epoch, dim 100, window 5, 5 negative words, min_count 5, sample 1e-3. "Training loop" is
what the contestant's own train call takes (gensim: `train` after `build_vocab`, with corpus_file, which reads the text
again), "whole process" is from the start of the interpreter to its end. hanmo compiles its kernels once per machine;
the first round of it, in which that happens, is shown and not counted.

Quality: Spearman correlation on WordSim-353, SimLex-999 and MTurk-771 and accuracy of 3CosAdd on questions-words, from
HANMO_DATA. The lines of the text are shuffled first, the same for all: contestants read a file in different orders (two threads
of gensim begin at its start and at its middle), and what is read last, at a low rate, is learned less.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine_line import machine_line, spread
from word_corpus import build_corpus, text_roots

from hanmo.core.files import sha256_file, write_atomic
from hanmo.core.progress import set_quiet

DIM, WINDOW, NEGATIVE, MIN_COUNT, SAMPLE = 100, 5, 5, 5, 1e-3
TESTS = {
    "WS-353": "wordsim_en/EN-WS-353-ALL.txt",
    "SimLex-999": "wordsim_en/EN-SIMLEX-999.txt",
    "MTurk-771": "wordsim_en/EN-MTurk-771.txt",
    "analogies": "analogy_en/questions-words.txt.gz",
}


def contestant_hanmo(method: str, corpus: Path, out: Path, epochs: int, seed: int, threads: int) -> dict[str, float]:
    """Train and save in this process."""
    from hanmo.tokenizers.word_ids import read_word_ids
    from hanmo.vectors.word2vec import train_word2vec
    from hanmo.vectors.word2vec_settings import Word2VecSettings

    set_quiet(True)
    text = read_word_ids(corpus, min_count=MIN_COUNT)
    settings = Word2VecSettings.model_validate(
        {"method": method, "dim": DIM, "window": WINDOW, "negative": NEGATIVE, "min_count": MIN_COUNT, "sample": SAMPLE}
        | {"epochs": epochs, "seed": seed, "threads": threads}
    )
    start = time.perf_counter()
    vectors = train_word2vec(text, settings)
    seconds = time.perf_counter() - start
    vectors.save(out)
    return {"loop": seconds, "words": text.n_read}


def contestant_gensim(method: str, corpus: Path, out: Path, epochs: int, seed: int, threads: int) -> dict[str, float]:
    """Train and save in this process."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        sg=int(method == "skipgram"), vector_size=DIM, window=WINDOW, negative=NEGATIVE, min_count=MIN_COUNT,
        sample=SAMPLE, workers=threads, seed=seed, epochs=epochs,
    )  # fmt: skip
    model.build_vocab(corpus_file=str(corpus))
    start = time.perf_counter()
    model.train(corpus_file=str(corpus), total_words=model.corpus_total_words, epochs=epochs)
    seconds = time.perf_counter() - start
    model.wv.save_word2vec_format(str(out), binary=True)
    return {"loop": seconds, "words": model.corpus_total_words}


def run_c(program: Path, method: str, corpus: Path, out: Path, epochs: int, threads: int) -> dict[str, float]:
    """The original program; the loop is from the end of its vocabulary to the end of the process."""
    command = [
        str(program), "-train", str(corpus), "-output", str(out), "-cbow", str(int(method == "cbow")), "-size",
        str(DIM), "-window", str(WINDOW), "-negative", str(NEGATIVE), "-hs", "0", "-sample", str(SAMPLE), "-threads",
        str(threads), "-binary", "1", "-iter", str(epochs), "-min-count", str(MIN_COUNT),
    ]  # fmt: skip
    if shutil.which("stdbuf"):
        command = ["stdbuf", "-o0", *command]
    start = time.perf_counter()
    known, words = start, 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(b"Words in train file"):
            known, words = time.perf_counter(), int(line.split(b":")[1].split()[0])
            break
    for _ in iter(lambda: process.stdout.read1(65536), b""):  # pyright: ignore[reportOptionalMemberAccess]
        pass
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    end = time.perf_counter()
    return {"loop": end - known, "whole": end - start, "words": words, "memory": usage.ru_maxrss * 1024}


def run(name: str, method: str, corpus: Path, out: Path, epochs: int, seed: int, arguments: Any) -> dict[str, float]:
    """One contestant in its own process: seconds of the loop and of all, words, peak memory in bytes."""
    if name == "word2vec-c":
        return run_c(arguments.word2vec_c, method, corpus, out, epochs, arguments.threads)
    request = [name, method, str(corpus), str(out), epochs, seed, arguments.threads]
    with tempfile.TemporaryFile() as answer:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, __file__, "--contestant", json.dumps(request)], stdout=answer)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        assert status == 0, f"{name} failed"
        answer.seek(0)
        return {**json.loads(answer.read()), "whole": seconds, "memory": usage.ru_maxrss * 1024}


def race(method: str, names: list[str], corpus: Path, folder: Path, arguments: Any) -> None:
    """All in turn; medians, spread and ratios."""
    print(f"\n{method}, one epoch, {arguments.threads} threads, thousand words/s", flush=True)
    warm = run("hanmo", method, corpus, folder / "warm.bin", 1, 1, arguments)
    print(f"  hanmo, first process (compiles unless it has before): {warm['whole']:.1f} s")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    order = list(names)
    for _ in range(arguments.repeats):
        for name in order:
            found[name].append(run(name, method, corpus, folder / f"{name}.bin", 1, 1, arguments))
        order.append(order.pop(0))
    n_words = warm["words"]  # all are given the same credit: the words of the file
    for title, key in (("training loop", "loop"), ("whole process", "whole")):
        rates = {name: [n_words / 1e3 / result[key] for result in results] for name, results in found.items()}
        ours = rates["hanmo"]
        for name, values in rates.items():
            ratios = sorted(a / b for a, b in zip(ours, values, strict=True))
            ratio = (
                f"  hanmo is {np.median(ratios):.2f} x [{ratios[0]:.2f}..{ratios[-1]:.2f}]" if name != "hanmo" else ""
            )
            print(f"  {title}  {name:11s} {spread(values)}{ratio}")
    for name, results in found.items():
        print(f"  peak memory    {name:11s} {max(result['memory'] for result in results) / 2**20:,.0f} MiB")


def scores(file: Path, data: Path) -> dict[str, float]:
    """Spearman correlations and analogy accuracy, in per cent."""
    from hanmo.vectors.word_tests import SimilarityResult, run_word_test
    from hanmo.vectors.word_vectors import WordVectors

    vectors, found = WordVectors.load(file), {}
    for name, path in TESTS.items():
        result = run_word_test(vectors, data / path)
        value = result.spearman if isinstance(result, SimilarityResult) else result.accuracy
        found[name] = 100 * (value or 0.0)
    return found


def shuffled(corpus: Path, folder: Path) -> Path:
    """The lines of a corpus in another order, the same each time."""
    path = folder / f"shuffled-{corpus.name}"
    if not path.exists():
        lines = corpus.read_bytes().splitlines(keepends=True)
        order = np.random.default_rng(0).permutation(len(lines))
        write_atomic(path, lambda temporary: temporary.write_bytes(b"".join(lines[number] for number in order)))
    return path


def quality(method: str, names: list[str], corpus: Path, folder: Path, data: Path, arguments: Any) -> None:
    """Mean and standard deviation over seeds, all contestants on the same text."""
    print(f"\nquality, {method}, {arguments.quality_epochs} epochs, {arguments.seeds} seeds", flush=True)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for seed in range(1, arguments.seeds + 1):
        for name in names:
            out = folder / f"quality-{name}.bin"
            run(name, method, corpus, out, arguments.quality_epochs, seed, arguments)
            found[name].append(scores(out, data))
    for test in TESTS:
        values = {name: np.array([result[test] for result in results]) for name, results in found.items()}
        ours = values["hanmo"]
        for name, theirs in values.items():
            deviation = theirs.std(ddof=1) if len(theirs) > 1 else 0.0
            line = f"  {test:11s} {name:11s} {theirs.mean():6.2f} +- {deviation:.2f}"
            if name != "hanmo" and deviation > 0:
                line += (
                    f"  hanmo {ours.mean() - theirs.mean():+.2f}, {(ours.mean() - theirs.mean()) / deviation:+.1f} sd"
                )
            print(line)


def scaling(corpus: Path, folder: Path, millions: list[int], arguments: Any) -> None:
    """Seconds and peak memory of texts of several lengths; a corpus that is too short is read several times."""
    print("\nscaling, skip-gram, one epoch: million words, seconds of the whole process, peak memory in MiB")
    data = corpus.read_bytes()
    per_word = len(data) / data.count(b" ")
    for size in sorted(millions):
        part = folder / f"scaling-{size}.txt"
        with open(part, "wb") as file:
            left = int(size * 1e6 * per_word)
            while left > 0:
                end = len(data) if left >= len(data) else data.find(b"\n", left) + 1
                file.write(data[:end])
                left -= end
        result = run("hanmo", "skipgram", part, folder / "scaling.bin", 1, 1, arguments)
        part.unlink()
        print(f"  {result['words'] / 1e6:6.1f} {result['whole']:8.2f} {result['memory'] / 2**20:8,.0f}", flush=True)


def main() -> None:
    """Build the corpus, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--words", type=int, default=12_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--methods", nargs="*", default=["skipgram", "cbow"])
    parser.add_argument("--word2vec-c", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quality-words", type=int)
    parser.add_argument("--quality-epochs", type=int, default=3)
    parser.add_argument("--scaling", type=int, nargs="*", default=[1, 3, 10, 30])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--root", type=Path, action="append", default=[])
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, method, corpus, out, *numbers = json.loads(arguments.contestant)
        contestant = contestant_hanmo if name == "hanmo" else contestant_gensim
        print(json.dumps(contestant(method, Path(corpus), Path(out), *numbers)))
        return
    set_quiet(True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        roots = [*text_roots(), *arguments.root]
        corpus = build_corpus(folder, arguments.words, roots)
        print(machine_line(1, "numba", "gensim"))
        print(f"corpus {corpus.name}: {corpus.stat().st_size:,} bytes, sha256 {sha256_file(corpus)[:16]}")
        names = ["hanmo", "gensim"] + (["word2vec-c"] if arguments.word2vec_c else [])
        for method in arguments.methods if arguments.repeats else []:
            race(method, names, corpus, folder, arguments)
        data = os.environ.get("HANMO_DATA")
        if data is None:
            print("\nHANMO_DATA is not set: no quality")
        elif arguments.seeds:
            text = shuffled(build_corpus(folder, arguments.quality_words or arguments.words, roots), folder)
            for method in arguments.methods:
                quality(method, names[:2], text, folder, Path(data), arguments)
        if arguments.scaling:
            scaling(corpus, folder, arguments.scaling, arguments)


if __name__ == "__main__":
    main()
