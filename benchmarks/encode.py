"""Classifying short texts: `hanmo` beside `transformers.pipeline("text-classification", batch_size=32)`.

    python benchmarks/encode.py [--texts 512] [--repeats 5] [--threads N]

A BERT of 6 layers, width 384, with random weights, over texts whose lengths are those of short messages (mean 29
tokens, 90 % below 54, longest 126). Text in, label and probability out, on both sides; all contestants run in this
process, one after the other in each round, in an order that turns. Figures of the project: at least 2 x in fp32 with
probabilities within 1e-5, at least 5 x in fewer bits (bfloat16 where the processor computes in it, else int8), within 1e-2;
equal labels in both.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from machine_line import machine_line, spread

from hanmo.core.devices import choose_compute
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import read_model, write_model
from hanmo.models.int8 import use_int8
from hanmo.tasks.forward import forward_by_length
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.tokenizer import Tokenizer

SEED = 0
N_WORDS = 8192 - 5
Answers = list[tuple[str, float]]


def write_random_model(folder: Path) -> None:
    """A classifier of 8 classes as it is before training, but for a wider head, and a vocabulary of whole words."""
    torch.manual_seed(SEED)
    config = BertConfig(
        vocab_size=N_WORDS + 5, d_model=384, n_layers=6, n_heads=12, max_len=512,
        labels=tuple(f"class {number}" for number in range(8)),
    )  # fmt: skip
    model = bert(config, "BertForSequenceClassification")
    torch.nn.init.normal_(model.head.out.weight, std=0.3)  # else all texts have about the same probabilities
    write_model(folder, model.eval())
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(N_WORDS))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": 512})
    )


def make_texts(n: int) -> list[str]:
    """Texts of one token per word and log-normal lengths."""
    rng = random.Random(SEED)
    lengths = [min(124, max(1, round(rng.lognormvariate(3.09, 0.67)))) for _ in range(n)]
    lengths[n // 2] = 124
    return [" ".join(f"w{rng.randrange(N_WORDS)}" for _ in range(length)) for length in lengths]


def ours(
    folder: Path, *, autocast: torch.dtype | None = None, compiled: bool = False, int8: bool = False
) -> Callable[[list[str]], Answers]:
    """Texts to labels and probabilities."""
    model, tokenizer = read_model(folder), Tokenizer.load(folder)
    labels, pad_id = model.config.labels, tokenizer.pad_id or 0
    if int8:
        use_int8(model, where=folder)
    precision = choose_compute(torch.device("cpu")).matmul_precision
    run: Any = torch.compile(model, dynamic=True) if compiled else model

    def probabilities(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
            return run(**inputs).logits.float().softmax(-1)

    def classify(texts: list[str]) -> Answers:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(precision)  # what is fastest here at the same accuracy, as `hanmo` chooses
        rows = encode_framed(tokenizer, texts, max_len=model.config.max_len)
        best = forward_by_length(rows, probabilities, pad_id=pad_id).max(-1)
        torch.set_float32_matmul_precision(before)
        return [
            (labels[index], value) for value, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]

    return classify


def rival(folder: Path) -> Callable[[list[str]], Answers]:
    """The pipeline as its documentation shows it."""
    pipe: Any = transformers.pipeline("text-classification", model=str(folder), batch_size=32, device="cpu")
    return lambda texts: [(answer["label"], answer["score"]) for answer in pipe(texts)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    compute = choose_compute(torch.device("cpu"))
    print(machine_line(SEED), f"{arguments.threads} threads")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_random_model(folder)
        texts = make_texts(arguments.texts)
        lengths = sorted(len(row.ids) for row in encode_framed(Tokenizer.load(folder), texts))
        print(
            f"{len(texts)} texts: mean {statistics.mean(lengths):.0f} tokens, 90 % at most "
            f"{lengths[int(0.9 * len(lengths))]}, longest {lengths[-1]}"
        )
        contestants = {"transformers fp32": rival(folder), "hanmo fp32": ours(folder)}
        contestants["hanmo int8"] = ours(folder, int8=True)
        if compute.compile:
            contestants["hanmo fp32 compiled"] = ours(folder, compiled=True)
        if compute.autocast is not None:
            contestants["hanmo bf16"] = ours(folder, autocast=compute.autocast)
            if compute.compile:
                contestants["hanmo bf16 compiled"] = ours(folder, autocast=compute.autocast, compiled=True)
        compare(contestants, texts, arguments.repeats)


def compare(contestants: dict[str, Callable[[list[str]], Answers]], texts: list[str], repeats: int) -> None:
    """Time all of them in turn, after a first call that is not counted."""
    answers = {name: run(texts) for name, run in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(repeats):
        order.append(order.pop(0))
        for name in order:
            start = time.perf_counter()
            contestants[name](texts)
            seconds[name].append(time.perf_counter() - start)
    base = "transformers fp32"
    for name, times in seconds.items():
        same = sum(one[0] == two[0] for one, two in zip(answers[name], answers[base], strict=True))
        error = max(abs(one[1] - two[1]) for one, two in zip(answers[name], answers[base], strict=True))
        ratio = statistics.median(seconds[base]) / statistics.median(times)
        print(
            f"{name:22s} {spread([len(texts) / value for value in times])} sentences/s, {ratio:.2f} x; "
            f"labels equal {same} of {len(texts)}, probabilities within {error:.1e}"
        )


if __name__ == "__main__":
    main()
