"""Chinese segmentation, our own segmenter beside jieba, and how fast text is cut into words and sentences, on one core.

    HANMO_DATA=path/to/data python benchmarks/segment.py [--repeats 5]

F1 is on the last fifth of the 3,985 lines of the MSR test set of SIGHAN 2005; the segmenter is trained on the first four.
Rates are on 2,500 Chinese documents of the web (clue_corpus_small_sample) and an English novel (gutenberg_en).
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

from machine_line import machine_line, spread

from hanmo.metrics.segmentation import segmentation_scores
from hanmo.text.dag_segmenter import DagSegmenter
from hanmo.text.find_numbers import find_numbers
from hanmo.text.hmm_segmenter import HmmSegmenter
from hanmo.text.part_of_speech import tag_chinese
from hanmo.text.pinyin import pinyin
from hanmo.text.segment import segment, segment_with
from hanmo.text.sentences import sentence_spans


def read(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8")


def print_f1(data: Path) -> DagSegmenter:
    lines = [
        words
        for line in read(data / "sighan2005_msr_cws/msr_test_gold.utf8.gz").splitlines()
        if (words := line.split())
    ]
    cut = len(lines) * 4 // 5
    train, held_out = lines[:cut], lines[cut:]
    segmenter, hmm = DagSegmenter.train(train), HmmSegmenter.train(train)
    path = DagSegmenter(segmenter.counts)
    ways: dict[str, Callable[[str], list[str]]] = {
        "dictionary + HMM": segmenter.segment,
        "dictionary alone": path.segment,
        "HMM alone": lambda text: segment_with(text, hmm.cut),
        "jieba": segment,
    }
    print(f"trained on {sum(map(len, train)):,} words, read on {sum(map(len, held_out)):,}")
    for name, way in ways.items():
        found = [way("".join(words)) for words in held_out]
        scores = segmentation_scores(found, held_out, known_words=set(segmenter.counts))
        unknown = scores.unknown_recall or 0
        print(
            f"{name:18} F1 {scores.f1:.3f}  P {scores.precision:.3f}  R {scores.recall:.3f}  unknown words {unknown:.3f}"
        )
    return segmenter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="times each text is gone through")
    arguments = parser.parse_args()
    data = Path(os.environ["HANMO_DATA"])
    print(machine_line(0))
    segmenter = print_f1(data)
    texts = {
        "zh": read(data / "clue_corpus_small_sample/CLUECorpusSmall_sampled.txt.gz"),
        "en": read(data / "gutenberg_en/pride_and_prejudice.txt.gz"),
    }
    ways: dict[str, Callable[[str], object]] = {
        "segment": segment,
        "own segmenter": segmenter.segment,
        "sentences": sentence_spans,
        "numbers": find_numbers,
        "tags": tag_chinese,
        "pinyin": pinyin,
    }
    for lang, text in texts.items():
        size = len(text.encode()) / 1e6
        for name, way in ways.items():
            if lang == "en" and name in ("own segmenter", "tags", "pinyin"):
                continue
            rates = []
            for _ in range(arguments.repeats):
                started = time.process_time()
                way(text)
                rates.append(size / (time.process_time() - started))
            print(f"{lang} {name:15} {size:4.1f} MB  MB/s {spread(rates)}")


if __name__ == "__main__":
    main()
