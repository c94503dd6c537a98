"""Web archives to deduplicated text, ours and datatrove, the same steps on the same pages, alternating: documents per second.

    python benchmarks/corpus.py --html FOLDER... --datatrove PYTHON [--pages 2000] [--workers 2] [--repeats 3]

Each FOLDER has pages (.html, also .gz) at any depth; PYTHON is an interpreter with datatrove[io,processing], spacy, faust-cchardet and
python-magic. Pages are chosen by a hash of their names and written as 8 WARC files, which both read. Steps: read, main text by
trafilatura, the rules of Gopher, C4 and FineWeb, MinHash, compressed JSON lines. Whole processes are timed. Ours does more: it
detects encodings, repairs text, removes exact copies, splits, and writes the report.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine_line import machine_line, spread

N_FILES = 8
OURS = """
import sys
from hanmo.core.progress import set_quiet
from hanmo.corpora.build import build_corpus
from hanmo.corpora.settings import CorpusSettings
set_quiet(True)
rules = ["gopher_repetition", "gopher_quality", "c4", "fineweb"]
settings = CorpusSettings(quality={"rules": rules, "terminal_punctuation": False}, min_chars=1)
report = build_corpus(sys.argv[1], sys.argv[2], settings, n_workers=int(sys.argv[3]))
"""


def write_archives(folder: Path, pages: list[Path]) -> int:
    """Write pages as WARC files, one gzip member a record; return their bytes."""
    folder.mkdir()
    total = 0
    for number in range(N_FILES):
        with open(folder / f"{number}.warc.gz", "wb") as file:
            for path in pages[number::N_FILES]:
                data = path.read_bytes()
                html = gzip.decompress(data) if path.suffix == ".gz" else data
                body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html
                identity = hashlib.sha256(str(path).encode()).hexdigest()
                uuid = f"{identity[:8]}-{identity[8:12]}-{identity[12:16]}-{identity[16:20]}-{identity[20:32]}"
                head = (
                    f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{uuid}>\r\n"
                    f"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: http://example.org/{identity}\r\n"
                    "WARC-Identified-Payload-Type: text/html\r\n"  # as Common Crawl has it; datatrove skips what it cannot tell
                    f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(body)}\r\n\r\n"
                )
                file.write(gzip.compress(head.encode() + body + b"\r\n\r\n", 6, mtime=0))
                total += len(html)
    return total


def timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def lines_of(paths: list[Path]) -> int:
    return sum(len(gzip.decompress(path.read_bytes()).splitlines()) for path in paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--html", type=Path, nargs="+", required=True)
    parser.add_argument("--datatrove", required=True)
    parser.add_argument("--pages", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    found = [
        path for folder in arguments.html for path in folder.rglob("*") if path.name.endswith((".html", ".html.gz"))
    ]
    found.sort(key=lambda path: hashlib.sha256("/".join(path.parts[-3:]).encode()).digest())
    pages = found[: arguments.pages]
    print(machine_line(0))
    with tempfile.TemporaryDirectory() as folder:
        source, ours, theirs = Path(folder, "warc"), Path(folder, "ours"), Path(folder, "theirs")
        n_bytes = write_archives(source, pages)
        print(f"{len(pages):,} pages, {n_bytes / 1e6:.1f} MB of HTML, {arguments.workers} workers")
        rival = str(Path(__file__).with_name("corpus_datatrove.py"))
        rates: dict[str, list[float]] = {"hanmo": [], "datatrove": []}
        for _ in range(arguments.repeats):
            n = str(arguments.workers)
            seconds = timed([sys.executable, "-c", OURS, str(source), str(ours), n])
            rates["hanmo"].append(len(pages) / seconds)
            seconds = timed([arguments.datatrove, rival, str(source), str(theirs), "warc", n])
            rates["datatrove"].append(len(pages) / seconds)
        report = json.loads((ours / "corpus.json").read_text(encoding="utf-8"))
        kept = {
            "hanmo": report["documents_kept"],
            "datatrove": lines_of(list((theirs / "output").rglob("*.jsonl.gz"))),
        }
        stages = json.loads((theirs / "logs" / "filter" / "stats.json").read_text(encoding="utf-8"))
        read = {"hanmo": report["documents_read"], "datatrove": stages[0]["stats"]["documents"]["total"]}
        for name, values in rates.items():
            print(f"{name:10} documents/s {spread(values)}  read {read[name]:,}  kept {kept[name]:,}")
        ratios = [one / other for one, other in zip(rates["hanmo"], rates["datatrove"], strict=True)]
        print(f"ratio      {spread(ratios)}")


if __name__ == "__main__":
    main()
