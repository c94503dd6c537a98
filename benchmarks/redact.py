"""How fast personal data is found: MB of UTF-8 per second on one core, document by document, on Chinese and English text.

    HANMO_DATA=path/to/data python benchmarks/redact.py [--repeats 5]

Reads 2,500 Chinese documents of the web (clue_corpus_small_sample), English tweets (hate_speech_davidson) and Wikipedia
articles (wikitext2).
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from pathlib import Path

from machine_line import machine_line, spread

from hanmo.corpora.pii.redact import redact

SETS = ("clue_corpus_small_sample", "hate_speech_davidson", "wikitext2")
CHARACTERS = 4_000


def read_texts(folder: Path) -> list[str]:
    """The lines of all text files of a set, put together to documents of some thousand characters."""
    files = [path for path in sorted(folder.rglob("*.gz")) if path.name.endswith((".txt.gz", ".csv.gz", ".tokens.gz"))]
    lines = "".join(gzip.decompress(path.read_bytes()).decode("utf-8") for path in files).splitlines(keepends=True)
    texts, rest = [], ""
    for line in lines:
        rest += line
        if len(rest) >= CHARACTERS:
            texts.append(rest)
            rest = ""
    return [*texts, rest]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="times each set is gone through")
    arguments = parser.parse_args()
    data = Path(os.environ["HANMO_DATA"])
    print(machine_line(0))
    for name in SETS:
        texts = read_texts(data / name)
        size = sum(len(text.encode()) for text in texts) / 1e6
        rates, spans = [], 0
        for _ in range(arguments.repeats):
            started = time.process_time()
            spans = sum(len(redact(text).spans) for text in texts)
            rates.append(size / (time.process_time() - started))
        print(f"{name:26} {size:5.1f} MB  {len(texts):5,} documents  {spans:4,} spans  MB/s {spread(rates)}")


if __name__ == "__main__":
    main()
