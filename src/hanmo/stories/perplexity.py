"""N-gram models as filters of a corpus: scores for the build, and bounds found from documents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.progress import progress
from hanmo.corpora.documents import read_documents
from hanmo.ngrams.loading import load

__all__ = ["find_percentiles", "load_scorer"]

PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)


@cache
def load_scorer(path: str) -> Callable[[str], float]:
    """A function from a text to its bits per character under an n-gram model."""
    model = load(path)
    return lambda text: float(model.bits([text])[0])


def find_percentiles(
    corpus: str | Path, model: str | Path, lang: str, *, most: int = 10_000
) -> tuple[int, dict[int, float]]:
    """How many bits per character the documents of a language have under a model.

    Args:
        corpus: folder of a corpus, or a .jsonl or .jsonl.gz file of documents.
        model: the n-gram model.
        lang: the language.
        most: documents that are looked at.

    Returns:
        How many documents were looked at, and the bits at each of `PERCENTILES`.

    Raises:
        DataError: if there is no document of the language.
    """
    path = Path(corpus)
    documents = read_documents(path / "train.jsonl.gz" if path.is_dir() else path)
    scorer, bits = load_scorer(str(model)), []
    with progress("score", unit="documents") as bar:
        for document in islice((document for document in documents if document.lang == lang), most):
            bits.append(scorer(document.text))
            bar.advance(1)
    if not bits:
        raise DataError(f"there is no document in {lang!r} here", where=corpus, remedy="Choose another lang.")
    return len(bits), dict(zip(PERCENTILES, np.percentile(bits, PERCENTILES).tolist(), strict=True))
