"""What counting alone makes of a run's text: a Kneser–Ney model of the same token ids."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.corpora.shards import open_shards, read_shard_report

__all__ = ["MOST_TOKENS", "ngram_baseline"]

MOST_TOKENS = 5_000_000
"""Training tokens that are counted: a few seconds, and memory below that of training."""

_ORDER = 5
_STRETCHES = 64


def ngram_baseline(run: Path, *, vocab_size: int, most_tokens: int = MOST_TOKENS) -> dict[str, Any]:
    """Train on the training shards of a run, score its held-out shards.

    Every held-out token and every end of a document is scored, as the order-0 model does; a document begins without
    context. Of more than `most_tokens` training tokens, evenly spread stretches are counted.

    Returns:
        `bits_per_byte`, `order`, `tokens` (counted) and `share` (of all training tokens).
    """
    from hanmo.ngrams.marks import N_MARKS
    from hanmo.ngrams.training import split_ids, train_on_ids

    report = read_shard_report(run / "shards" / "heldout")
    train_ids, heldout_ids = open_shards(run / "shards" / "train"), open_shards(run / "shards" / "heldout")
    n_all = len(train_ids)
    if n_all > most_tokens:
        length = most_tokens // _STRETCHES
        starts = np.linspace(0, n_all - length, _STRETCHES).astype(np.int64)
        train_ids = np.concatenate([train_ids[start : start + length] for start in starts])
    model = train_on_ids(train_ids, n_ids=vocab_size, end_id=report.eot_id, order=_ORDER)
    ids, ends = split_ids(heldout_ids, report.eot_id)
    log10 = float(model.score_ids(ids.astype(np.int32) + N_MARKS, ends).sum())
    return {
        "bits_per_byte": -log10 * math.log2(10) / report.n_bytes, "order": model.order,
        "tokens": len(train_ids), "share": len(train_ids) / n_all,
    }  # fmt: skip
