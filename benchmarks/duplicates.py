"""How fast duplicates below the document and evaluation texts are found: MB of UTF-8 per second on one core.

    HANMO_DATA=path/to/data python benchmarks/duplicates.py [--repeats 5]

Reads 2,500 Chinese documents of the web (clue_corpus_small_sample), three Chinese novels in pieces (chinese_novels) and articles of
Wikipedia (mediawiki_dump). The index of evaluation texts is that of XQuAD, CMRC 2018, GSM8K, the test sets of SST-2 and
ChnSentiCorp, and C3.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine_line import machine_line, spread

from hanmo.corpora.dedup.contamination import count_documents, find_all
from hanmo.corpora.dedup.evaluation_index import build_index
from hanmo.corpora.dedup.evaluation_texts import list_evaluation_files, read_strings
from hanmo.corpora.dedup.first import later_occurrences
from hanmo.corpora.dedup.letters import fold
from hanmo.corpora.dedup.paragraphs import paragraph_keys_of
from hanmo.corpora.dedup.substrings import fingerprints, repeated_spans
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file

SETS = ("clue_corpus_small_sample", "chinese_novels", "mediawiki_dump")
EVALUATION = {
    "xquad": "xquad",
    "cmrc2018": "cmrc2018",
    "gsm8k": "gsm8k/test.jsonl.gz",
    "sst2": "sst2/test.tsv",
    "chnsenticorp": "chnsenticorp/test.tsv.gz",
    "c3": "c3_zh_mrc",
}


def read_texts(folder: Path) -> list[str]:
    """The documents of a folder, as a corpus is built of them."""
    files, _ = list_files(folder)
    found = [item for file in files for item in read_file(file, CorpusSettings())]
    return [item.text for item in found if isinstance(item, Document)]


def measure(name: str, work: Callable[[], Any], size: float, repeats: int, unit: str = "MB/s") -> None:
    """Print how much of `size` is done in a second of processor time."""
    rates = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        rates.append(size / (time.process_time() - started))
    print(f"  {name:28} {unit} {spread(rates)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="times each set is gone through")
    repeats = parser.parse_args().repeats
    data = Path(os.environ["HANMO_DATA"])
    print(machine_line(0))
    fold("")  # its tables
    sets = {name: data / path for name, path in EVALUATION.items()}
    size = sum(
        len(text.encode())
        for path in sets.values()
        for file in list_evaluation_files(path)
        for text in read_strings(file)
    )
    index = build_index(sets)
    print(f"evaluation sets: {size / 1e6:.1f} MB, {sum(index.n_texts.values()):,} texts, {index.n_grams:,} n-grams")
    measure("build_index", lambda: build_index(sets), size / 1e6, repeats)
    keys = np.random.default_rng(0).integers(0, 2**22, 2**22, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    measure("later_occurrences", lambda: later_occurrences(keys), len(keys) / 1e6, repeats, "million keys/s")
    for name in SETS:
        texts = read_texts(data / name)
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"{name}: {size:.1f} MB, {len(texts):,} documents")
        measure("paragraph_keys_of", lambda texts=texts: list(paragraph_keys_of(texts)), size, repeats)
        measure("fingerprints", lambda texts=texts: [fingerprints(text) for text in texts], size, repeats)
        measure("repeated_spans (all steps)", lambda texts=texts: repeated_spans(texts), size, repeats)
        measure("count_documents", lambda texts=texts: count_documents(index, texts), size, repeats)
        measure("find_all", lambda texts=texts: list(find_all(index, texts)), size, repeats)


if __name__ == "__main__":
    main()
