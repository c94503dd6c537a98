"""Near-duplicates among 100,000 short documents: seconds on the processes given, peak memory, and whether planted copies are found.

    HANMO_DATA=path/to/data python benchmarks/near_duplicates.py [--documents 100000] [--workers 2]

The documents are pieces of about 300 characters of real text, half Chinese (chinese_novels, clue_corpus_small_sample,
smp2020_ewect), half English (wikitext2, gutenberg_en, ptb); where they do not suffice, their sentences are shuffled into new
ones. A thousand are planted again with up to one word in twenty replaced; missed counts those among them that differ, whose
similarity is above the threshold, and that are kept beside their original. Whole process: reading, cleaning, signatures, comparison, writing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from machine_line import machine_line

from hanmo.corpora.dedup.near import jaccard, shingles
from hanmo.corpora.documents import read_documents

SETS = {
    "zh": ("chinese_novels", "clue_corpus_small_sample", "smp2020_ewect"),
    "en": ("wikitext2", "gutenberg_en", "ptb"),
}
CHARACTERS = {"zh": 120, "en": 450}
PLANTED = 1_000
BUILD = """
import json, resource, sys, time
from hanmo.core.progress import set_quiet
from hanmo.corpora.build import build_corpus
from hanmo.corpora.settings import CorpusSettings
set_quiet(True)
settings = CorpusSettings(near_duplicates=sys.argv[4] == "1", min_chars=1)
started = time.perf_counter()
report = build_corpus(sys.argv[1], sys.argv[2], settings, n_workers=int(sys.argv[3]))
seconds = time.perf_counter() - started
peak, of_worker = (
    resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
)
print(json.dumps({"seconds": seconds, "peak": peak, "peak_of_worker": of_worker, "removed": report.near_duplicates}))
"""
"""A process of its own, so that the peak is that of the build."""


def read_sentences(folder: Path, names: tuple[str, ...]) -> list[str]:
    """Distinct sentences of all text files of some sets."""
    found: dict[str, None] = {}
    for name in names:
        for path in sorted((folder / name).rglob("*.gz")):
            text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
            for sentence in re.split(r"(?<=[。！？.!?])\s*|\n", text):
                if len(sentence) >= 12:
                    found[sentence.strip()] = None
    return list(found)


def make_documents(sentences: list[str], n: int, size: int, rng: random.Random) -> list[str]:
    """Documents of neighbouring sentences, then of shuffled ones."""
    documents: list[str] = []
    while len(documents) < n:
        held = ""
        for sentence in sentences:
            held += sentence + " "
            if len(held) >= size:
                documents.append(held.strip())
                held = ""
                if len(documents) == n:
                    break
        rng.shuffle(sentences)
    return documents


def change(text: str, rng: random.Random) -> str:
    """Another word or character in up to one place of twenty."""
    tokens = re.findall(r"[\u4e00-\u9fff]|[^\u4e00-\u9fff\s]+|\s+", text)
    for place in rng.sample(range(len(tokens)), rng.randint(1, max(1, len(tokens) // 20))):
        if not tokens[place].isspace():
            tokens[place] = "某" if "\u4e00" <= tokens[place] <= "\u9fff" else "other"
    return "".join(tokens)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    data, rng = Path(os.environ["HANMO_DATA"]), random.Random(0)
    documents: list[str] = []
    for lang, names in SETS.items():
        wanted = (arguments.documents - PLANTED) // 2
        documents += make_documents(read_sentences(data, names), wanted, CHARACTERS[lang], rng)
    originals = rng.sample(range(len(documents)), PLANTED)
    copies = [change(documents[number], rng) for number in originals]
    near = [
        copy != documents[number] and jaccard(shingles(documents[number]), shingles(copy)) >= 0.8
        for number, copy in zip(originals, copies, strict=True)
    ]
    rows = documents + copies
    size = sum(len(row.encode()) for row in rows)
    print(machine_line(0))
    print(f"{len(rows):,} documents, {size / 1e6:.1f} MB, {sum(near):,} of {PLANTED:,} planted copies above 0.8")
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "rows"), Path(folder, "out")
        shards = [rows[start::8] for start in range(8)]
        source.mkdir()
        for number, shard in enumerate(shards):
            lines = (json.dumps({"text": text}, ensure_ascii=False) for text in shard)
            (source / f"{number}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        for near_duplicates in (False, True):
            done = subprocess.run(
                [sys.executable, "-c", BUILD, str(source), str(out), str(arguments.workers), str(int(near_duplicates))],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            found = json.loads(done.stdout.splitlines()[-1])
            seconds, own, children = found["seconds"], found["peak"], found["peak_of_worker"]
            what = "with near-duplicates" if near_duplicates else "without"
            kept = {
                document.text for side in ("train", "heldout") for document in read_documents(out / f"{side}.jsonl.gz")
            }
            missed = sum(
                is_near and documents[number] in kept and copy in kept
                for number, copy, is_near in zip(originals, copies, near, strict=True)
            )
            print(f"{what:22} {seconds:6.1f} s  {len(rows) / seconds:8,.0f} documents/s  "
                  f"{found['removed']:,} removed, {missed:,} planted missed  peak {own:,.0f} MB, of a worker {children:,.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
