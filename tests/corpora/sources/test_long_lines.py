"""A line of a gigabyte: read or left out in bounded memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

_SCRIPT = """
import io, resource, sys
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import KINDS
from hanmo.corpora.sources.readers import Text

class Generated(io.RawIOBase):
    def __init__(self, first, unit, size, last):
        self.head, self.unit, self.left, self.last = first, unit * (2**20 // len(unit)), size, last
    def readable(self):
        return True
    def readinto(self, buffer):
        if not self.head and self.left > 0:
            self.head, self.left = self.unit, self.left - len(self.unit)
        elif not self.head:
            self.head, self.last = self.last, b""
        n = min(len(buffer), len(self.head))
        buffer[:n], self.head = self.head[:n], self.head[n:]
        return n

kind, size = sys.argv[1], int(sys.argv[2])
first = {".jsonl": b'{"text": "', ".csv": b"text\\n", ".tsv": b"text\\n", ".xml": b"<mediawiki><page><title>", ".html": b"<p>",
         ".warc": b"WARC/1.0\\r\\nWARC-Type: conversion\\r\\nX: "}.get(kind, b"")
stream = io.BufferedReader(Generated(first, "今天天气很好，".encode(), size, b"\\n"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n_texts = n_chars = n_skipped = 0
try:
    for item in KINDS[kind](stream, "x", CorpusSettings()):
        if isinstance(item, Text):
            n_texts, n_chars = n_texts + 1, n_chars + len(item.text)
        else:
            n_skipped += 1
except ValueError as error:
    n_skipped += 1
print(n_texts, n_chars, n_skipped, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, before // 1024)
"""


def _read(kind: str, size: int) -> tuple[int, int, int, int]:
    """Texts, characters, what was skipped, and the peak of the process in MiB."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT, kind, str(size)], capture_output=True, text=True, check=True)
    n_texts, n_chars, n_skipped, peak, _ = map(int, done.stdout.split())
    return n_texts, n_chars, n_skipped, peak


@pytest.mark.slow
@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".csv", ".xml", ".warc"])
def test_a_line_of_a_gigabyte(kind: str) -> None:
    n_texts, n_chars, n_skipped, peak = _read(kind, 2**30)
    assert peak < 512
    if kind == ".txt":
        assert n_chars > 2**30 / 3.1
    else:
        assert (n_texts, n_skipped > 0) == (0, True)
