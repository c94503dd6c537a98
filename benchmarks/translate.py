"""Translating the 1,000 test sentences of Multi30k by beam search with 5 beams: `hanmo` beside `generate` of transformers.

    python benchmarks/translate.py MODEL [--sentences 1000] [--repeats 1] [--batches 32,64,128]

MODEL is the model directory of a run of recipes/multi30k.toml. Both have its weights in float32 and write the same
translations, which is counted. The rival gets the sentences sorted by length, in the fastest of the batch sizes named, each
tried on every eighth sentence. Both have translated some sentences before. Figure of the project: at least 4 x.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import transformers
from data_folder import data_folder
from machine_line import machine_line, spread

import hanmo
from hanmo.tasks.tables import read_text_file

BEAMS, LIMIT = 5, 100


Translate = Callable[[list[str]], list[str]]


def ours(model: str) -> Translate:
    """What a user calls: texts in, texts out."""
    translate = hanmo.pipeline("translation", model, device="cpu")
    return lambda texts: [
        answer["translation_text"] for answer in translate(texts, num_beams=BEAMS, max_new_tokens=LIMIT)
    ]


def rival(model: str, batch: int) -> Translate:
    """The same by transformers, in batches of sentences of like length, the longest first."""
    network: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(model).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)

    def translate(texts: list[str]) -> list[str]:
        lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
        order = sorted(range(len(texts)), key=lambda i: -lengths[i])
        written = [""] * len(texts)
        with torch.inference_mode():
            for first in range(0, len(texts), batch):
                some = order[first : first + batch]
                rows = tokenizer([texts[i] for i in some], return_tensors="pt", padding=True)
                ids = network.generate(
                    input_ids=rows["input_ids"],
                    attention_mask=rows["attention_mask"],
                    num_beams=BEAMS,
                    max_new_tokens=LIMIT,
                )
                for i, text in zip(some, tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True):
                    written[i] = text.strip()
        return written

    return translate


def timed(translate: Translate, texts: list[str]) -> tuple[float, list[str]]:
    """Sentences per second, and the translations."""
    start = time.perf_counter()
    found = translate(texts)
    return len(texts) / (time.perf_counter() - start), found


def best_rival(model: str, batches: list[int], texts: list[str]) -> Translate:
    """With the batch size that is fastest here."""
    rivals = {batch: rival(model, batch) for batch in batches}
    next(iter(rivals.values()))(texts[:8])
    rates = {batch: timed(one, texts)[0] for batch, one in rivals.items()}
    for batch, rate in rates.items():
        print(f"  transformers, {batch:3d} at once: {rate:6.1f} sentences/s of {len(texts)}", flush=True)
    return rivals[max(rates, key=lambda batch: rates[batch])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batches", default="32,64,128", help="of the rival, separated by commas")
    options = parser.parse_args()
    data = data_folder(parser)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    file = data / "multi30k" / "test_2016_flickr.en.gz"
    texts = [line.strip() for line in read_text_file(file).splitlines()[: options.sentences]]
    print(machine_line(0, "transformers"), f"{torch.get_num_threads()} threads, {len(texts)} sentences")
    batches = [int(one) for one in options.batches.split(",")]
    contestants = {"hanmo": ours(options.model), "transformers": best_rival(options.model, batches, texts[::8])}
    first, _ = timed(contestants["hanmo"], texts[::8])
    print(f"  hanmo, first call: {first:6.1f} sentences/s of {len(texts[::8])}", flush=True)
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    written: dict[str, list[str]] = {}
    for turn in range(options.repeats):
        for name in sorted(rates, reverse=bool(turn % 2)):
            rate, written[name] = timed(contestants[name], texts)
            rates[name].append(rate)
            print(f"  {name:12s} {rate:6.1f} sentences/s", flush=True)
    same = sum(a == b for a, b in zip(written["hanmo"], written["transformers"], strict=True))
    for name, values in rates.items():
        print(f"{name:12s} {spread(values)} sentences/s")
    ratio = statistics.median(rates["hanmo"]) / statistics.median(rates["transformers"])
    print(f"hanmo {ratio:.2f} x; {same} of {len(texts)} translations are the same")


if __name__ == "__main__":
    main()
