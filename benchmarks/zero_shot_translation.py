"""A direction that a model of several languages was never shown: German to Chinese, of recipes/multilingual.toml.

    python benchmarks/zero_shot_translation.py MODEL [--captions 200] [--questions 200]

Beside it stands the way round by English with the same model, German to English to Chinese. On captions (Multi30k) there is no
Chinese to compare with: told are the share of texts that are Chinese at all, and how near the two ways come to each other. On
questions (XQuAD, aligned by id; far from anything the model has seen) both are compared with the Chinese of translators.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Callable
from pathlib import Path

from data_folder import data_folder
from machine_line import machine_line

import hanmo
from hanmo.metrics.translation import bleu, chrf
from hanmo.tasks.tables import read_text_file
from hanmo.text.language import guess_language

Translate = Callable[[list[str]], list[str]]


def questions(data: Path, n: int) -> tuple[list[str], list[str]]:
    """German, and the same in Chinese."""

    def read(language: str) -> dict[str, str]:
        with gzip.open(data / "xquad" / f"xquad.{language}.part1.json.gz", "rt", encoding="utf-8") as file:
            articles = json.load(file)["data"]
        return {
            qa["id"]: qa["question"] for article in articles for part in article["paragraphs"] for qa in part["qas"]
        }

    german, chinese = read("de"), read("zh")
    ids = sorted(german.keys() & chinese.keys())[:n]
    return [german[one] for one in ids], [chinese[one] for one in ids]


def main() -> None:
    """Translate, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--captions", type=int, default=200)
    parser.add_argument("--questions", type=int, default=200)
    options = parser.parse_args()
    data = data_folder(parser)
    translate = hanmo.pipeline("translation", options.model, device="cpu")
    print(machine_line(0))

    def into(target: str, source: str, texts: list[str]) -> list[str]:
        answers = translate(texts, src_lang=source, tgt_lang=target, untrained=True, max_new_tokens=100)
        return [answer["translation_text"] for answer in answers]

    ways: dict[str, Translate] = {
        "directly": lambda texts: into("zh", "de", texts),
        "by English": lambda texts: into("zh", "en", into("en", "de", texts)),
    }
    captions = read_text_file(data / "multi30k" / "test_2016_flickr.de.gz").splitlines()[: options.captions]
    written = {name: way(captions) for name, way in ways.items()}
    for name, texts in written.items():
        share = sum(guess_language(text) == "zh" for text in texts) / len(texts)
        print(f"captions, {name:10s} {share:6.1%} of {len(texts)} are Chinese; {captions[0]!r} -> {texts[0]!r}")
    near = bleu(written["directly"], written["by English"], target_language="zh")
    print(f"captions, the two ways: BLEU {near.score:.1f} of the one by the other ({near.signature})")
    german, chinese = questions(data, options.questions)
    for name, way in ways.items():
        texts = way(german)
        scores = bleu(texts, chinese, target_language="zh"), chrf(texts, chinese, target_language="zh")
        share = sum(guess_language(text) == "zh" for text in texts) / len(texts)
        print(f"questions, {name:10s} BLEU {scores[0].score:.1f}, chrF {scores[1].score:.1f}, {share:.1%} are Chinese")


if __name__ == "__main__":
    main()
