"""Stems of English words, by the second algorithm of Porter (snowballstem.org): running, runs → run."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

__all__ = ["stem"]

_local = threading.local()


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The stem of an English word, in lower case; a word of another script stays as it is.

    >>> [stem(word) for word in ("running", "Studies", "关系")]
    ['run', 'studi', '关系']
    """
    return _stemmer().stemWord(word.lower().replace("’", "'"))


def _stemmer() -> Any:
    # a stemmer keeps the word it works on in itself, so each thread has its own
    if not hasattr(_local, "stemmer"):
        import snowballstemmer

        _local.stemmer = snowballstemmer.stemmer("english")
    return _local.stemmer
