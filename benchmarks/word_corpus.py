"""A real English corpus of many million words from what is on the machine, for the benchmarks of words.

    python benchmarks/word_corpus.py FOLDER [--words 12000000] [--root FOLDER]...

Texts of HANMO_DATA where it is set (but none that words are evaluated on), of the Python standard library, of the
installed packages and of any further --root: documentation, comments, data sets. A line of prose becomes a line of
lower-case words; equal lines are taken once. The same files give the same corpus; its SHA-256 is printed, and figures
compare only on one corpus.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import sysconfig
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from hanmo.core.files import sha256_file, write_atomic

__all__ = ["build_corpus", "text_roots"]

_ENDINGS = (".txt", ".md", ".rst", ".py", ".pyi", ".tsv", ".csv", ".json", ".jsonl", ".html", ".conllu", ".en")
_EVALUATED = {"wordsim_en", "wordsim_zh", "analogy_en", "analogy_zh", "weat_seat", "ptb"}
"""Folders of HANMO_DATA that hold what vectors and language models are evaluated on."""
_LONGEST_FILE = 30_000_000


def text_roots() -> list[Path]:
    """Folders that texts are taken from, in this order."""
    roots = [os.environ.get("HANMO_DATA"), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    return [Path(root) for root in roots if root]


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in _EVALUATED and not f.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = Path(folder, name)
            plain = name.lower().removesuffix(".gz")
            if plain.endswith((*_ENDINGS, ".zip")) and path.is_file() and path.stat().st_size <= _LONGEST_FILE:
                yield path


def _texts(path: Path) -> Iterator[str]:
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in sorted(archive.namelist()):
                    if name.endswith(_ENDINGS):
                        yield archive.read(name).decode("utf-8", "ignore")
        else:
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            yield data.decode("utf-8", "ignore")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return  # benchmarks take what can be read


def _sentences(roots: list[Path]) -> Iterator[list[str]]:
    seen: set[bytes] = set()
    for root in roots:
        for path in _files(root):
            for text in _texts(path):
                for line in text.replace("\\n", "\n").splitlines():
                    line = line.strip()
                    if not 40 <= len(line) <= 20_000 or line.count(" ") < 6:
                        continue
                    prose = len(re.findall(r"[A-Za-z ]", line))
                    words = re.findall(r"[a-z]+", line.lower())
                    if prose < 0.85 * len(line) or len(words) < 5:
                        continue
                    key = hashlib.blake2b(line.encode(), digest_size=8).digest()
                    if key not in seen:
                        seen.add(key)
                        yield words


def build_corpus(folder: Path, n_words: int, roots: list[Path] | None = None) -> Path:
    """A file of at most `n_words` words in `folder`, made unless it is there; less where the machine has less."""
    path = folder / f"words-{n_words}.txt"
    if path.exists():
        return path

    def fill(temporary: Path) -> None:
        left = n_words
        with open(temporary, "w", encoding="ascii") as file:
            for words in _sentences(roots if roots is not None else text_roots()):
                file.write(" ".join(words[:left]) + "\n")
                left -= len(words)
                if left <= 0:
                    break

    write_atomic(path, fill)
    return path


def main() -> None:
    """Build and describe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--words", type=int, default=12_000_000)
    parser.add_argument("--root", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    path = build_corpus(arguments.folder, arguments.words, [*text_roots(), *arguments.root])
    n_words = n_lines = 0
    with open(path, encoding="ascii") as file:
        for line in file:
            n_lines += 1
            n_words += line.count(" ") + 1
    print(f"{path}: {n_words:,} words, {n_lines:,} lines, {path.stat().st_size:,} bytes, sha256 {sha256_file(path)}")


if __name__ == "__main__":
    main()
