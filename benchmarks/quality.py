"""What each set of quality rules takes out of real documents, and how fast: MB of UTF-8 per second on one core.

    HANMO_DATA=path/to/data python benchmarks/quality.py [--repeats 3] [--sets NAME ...]

For each folder of documents prints the share that each set of rules drops, by reason, and the lines that it takes out of those
it keeps.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from pathlib import Path
from typing import get_args

from machine_line import machine_line, spread

from hanmo.corpora.documents import Document
from hanmo.corpora.quality.judge import Verdict, judge
from hanmo.corpora.quality.settings import QualitySettings, Rule
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file
from hanmo.corpora.sources.stdlib import read_topics
from hanmo.text.language import Language, guess_language
from hanmo.text.repair import repair

SETS = (
    "chinese_novels", "clue_corpus_small_sample", "gutenberg_en", "tinyshakespeare", "stdlib", "mediawiki_dump",
    "article_extraction", "html_zh", "warc",
)  # fmt: skip
RULES: tuple[Rule, ...] = get_args(Rule)


def read_texts(folder: Path) -> list[tuple[str, Language]]:
    """The documents of a folder (of Python's manual, if it is called stdlib), repaired, with their language."""
    if folder.name == "stdlib":
        return [(document.text, guess_language(document.text)) for document in read_topics()]
    files, _ = list_files(folder)
    found = [item for file in files for item in read_file(file, CorpusSettings())]
    texts = [repair(item.text).text for item in found if isinstance(item, Document)]
    return [(text, guess_language(text)) for text in texts]


def report(texts: list[tuple[str, Language]], rules: tuple[Rule, ...], repeats: int) -> None:
    """Print what rules do to texts and how fast."""
    settings, rates = QualitySettings(rules=rules), []
    verdicts: list[Verdict] = []
    size = sum(len(text.encode()) for text, _ in texts) / 1e6
    for _ in range(repeats):
        started = time.process_time()
        verdicts = [judge(text, lang, settings) for text, lang in texts]
        rates.append(size / (time.process_time() - started))
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.reason)
    lines = Counter[str]()
    for verdict in verdicts:
        if verdict.reason is None:
            lines += verdict.removed_lines
    n_lines = sum(
        len(text.split("\n")) for (text, _), verdict in zip(texts, verdicts, strict=True) if not verdict.reason
    )
    dropped = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"
    share = f"{sum(reasons.values()) / len(texts):6.1%} dropped, {sum(lines.values()) / max(n_lines, 1):6.1%} of lines"
    print(f"  {'+'.join(rules) if len(rules) < len(RULES) else 'all':18} {share}; MB/s {spread(rates)}")
    print(f"    {dropped}; lines: {dict(lines.most_common())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="times each set is gone through")
    parser.add_argument("--sets", nargs="+", default=SETS, help="folders of documents")
    arguments = parser.parse_args()
    print(machine_line(0))
    for name in arguments.sets:
        texts = read_texts(Path(os.environ["HANMO_DATA"]) / name)
        languages = dict(Counter(lang for _, lang in texts).most_common())
        print(
            f"{name}: {sum(len(text.encode()) for text, _ in texts) / 1e6:.1f} MB, {len(texts):,} documents, {languages}"
        )
        for rule in RULES:
            report(texts, (rule,), arguments.repeats)
        report(texts, RULES, arguments.repeats)


if __name__ == "__main__":
    main()
