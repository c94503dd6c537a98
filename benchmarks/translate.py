"""Translating the 1,000 test sentences of Multi30k by beam search with 5 beams: `hanmo` beside `generate` of transformers.

    python benchmarks/translate.py MODEL [--sentences 1000] [--repeats 1] [--batch 32]

MODEL is the model directory of a run of recipes/multi30k.toml. Both have its weights in float32 and write the same
translations, which is counted. Figure of the project: at least 4 x.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import torch
import transformers
from data_folder import data_folder
from machine_line import machine_line, spread

import hanmo
from hanmo.tasks.tables import read_text_file

BEAMS, LIMIT = 5, 100


def ours(model: str, texts: list[str]) -> tuple[float, list[str]]:
    """Sentences per second, and the translations."""
    translate = hanmo.pipeline("translation", model, device="cpu")
    translate(texts[:2])
    start = time.perf_counter()
    found = translate(texts, num_beams=BEAMS, max_new_tokens=LIMIT)
    return len(texts) / (time.perf_counter() - start), [answer["translation_text"] for answer in found]


def rival(model: str, texts: list[str], batch: int) -> tuple[float, list[str]]:
    """The same by transformers, in batches in the order of the file."""
    network: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(model).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
    written: list[str] = []
    start = time.perf_counter()
    with torch.inference_mode():
        for first in range(0, len(texts), batch):
            rows = tokenizer(texts[first : first + batch], return_tensors="pt", padding=True)
            ids = network.generate(
                input_ids=rows["input_ids"],
                attention_mask=rows["attention_mask"],
                num_beams=BEAMS,
                max_new_tokens=LIMIT,
            )
            written += tokenizer.batch_decode(ids, skip_special_tokens=True)
    return len(texts) / (time.perf_counter() - start), [text.strip() for text in written]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    data = data_folder(parser)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    file = data / "multi30k" / "test_2016_flickr.en.gz"
    texts = [line.strip() for line in read_text_file(file).splitlines()[: options.sentences]]
    print(machine_line(0, "transformers"), f"{torch.get_num_threads()} threads, {len(texts)} sentences")
    rates: dict[str, list[float]] = {"hanmo": [], "transformers": []}
    written: dict[str, list[str]] = {}
    for turn in range(options.repeats):
        for name in sorted(rates, reverse=bool(turn % 2)):
            found = ours(options.model, texts) if name == "hanmo" else rival(options.model, texts, options.batch)
            rates[name].append(found[0])
            written[name] = found[1]
            print(f"  {name:12s} {found[0]:6.1f} sentences/s", flush=True)
    same = sum(a == b for a, b in zip(written["hanmo"], written["transformers"], strict=True))
    for name, values in rates.items():
        print(f"{name:12s} {spread(values)} sentences/s")
    ratio = statistics.median(rates["hanmo"]) / statistics.median(rates["transformers"])
    print(f"hanmo {ratio:.2f} x; {same} of {len(texts)} translations are the same")


if __name__ == "__main__":
    main()
