"""How fast duplicates below the document and evaluation texts are found: MB of UTF-8 per second on one core.

    HANMO_DATA=path/to/data python benchmarks/duplicates.py [--repeats 5] [--sets NAME ...] [--evaluation NAME ...]

Also prints what is found. Unless other folders of data are named, reads 2,500 Chinese documents of the web
(clue_corpus_small_sample), three Chinese novels in pieces (chinese_novels) and articles of Wikipedia (mediawiki_dump). The
index of evaluation texts is that of XQuAD, CMRC 2018, GSM8K, the test sets of SST-2 and ChnSentiCorp, and C3.
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
from hanmo.corpora.dedup.evaluation_index import EvaluationIndex, build_index
from hanmo.corpora.dedup.evaluation_texts import list_evaluation_files, read_strings
from hanmo.corpora.dedup.first import later_occurrences, over_parts
from hanmo.corpora.dedup.letters import fold
from hanmo.corpora.dedup.paragraphs import paragraph_keys_of
from hanmo.corpora.dedup.substrings import fingerprints, repeated_spans
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file

SETS = ("clue_corpus_small_sample", "chinese_novels", "mediawiki_dump")
EVALUATION = ("xquad", "cmrc2018", "gsm8k/test.jsonl.gz", "sst2/test.tsv", "chnsenticorp/test.tsv.gz", "c3_zh_mrc")


def read_texts(folder: Path) -> list[str]:
    """The documents of a folder, as a corpus is built of them."""
    files, _ = list_files(folder)
    found = [item for file in files for item in read_file(file, CorpusSettings())]
    return [item.text for item in found if isinstance(item, Document)]


def found_in(texts: list[str], index: EvaluationIndex) -> str:
    """What is repeated in the documents, and the evaluation texts that are in them."""
    paragraphs = list(paragraph_keys_of(texts))
    later = over_parts(later_occurrences, [keys for keys, _, _ in paragraphs], n_buckets=1)
    spans = repeated_spans(texts)
    n_chars = sum(end - start for found in spans for start, end in found)
    matches = [found for found in find_all(index, texts) if found]
    shares = ", ".join(f"{match.name} {match.kind} {match.share:.3f}" for found in matches for match in found[:3])
    return (
        f"repeated: {sum(map(np.count_nonzero, later)):,} paragraphs; {sum(map(len, spans)):,} stretches "
        f"({n_chars:,} characters) in {sum(map(bool, spans)):,} documents; evaluation texts in {len(matches):,}: {shares}"
    )


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
    parser.add_argument("--sets", nargs="+", default=SETS, help="folders of documents")
    parser.add_argument("--evaluation", nargs="+", default=EVALUATION, help="folders or files of evaluation sets")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    data = Path(os.environ["HANMO_DATA"])
    print(machine_line(0))
    fold("")  # its tables
    sets = {path: data / path for path in arguments.evaluation}
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
    for name in arguments.sets:
        texts = read_texts(data / name)
        size = sum(len(text.encode()) for text in texts) / 1e6
        print(f"{name}: {size:.1f} MB, {len(texts):,} documents")
        print(f"  {found_in(texts, index)}")
        measure("paragraph_keys_of", lambda texts=texts: list(paragraph_keys_of(texts)), size, repeats)
        measure("fingerprints", lambda texts=texts: [fingerprints(text) for text in texts], size, repeats)
        measure("repeated_spans (all steps)", lambda texts=texts: repeated_spans(texts), size, repeats)
        measure("count_documents", lambda texts=texts: count_documents(index, texts), size, repeats)
        measure("find_all", lambda texts=texts: list(find_all(index, texts)), size, repeats)


if __name__ == "__main__":
    main()
