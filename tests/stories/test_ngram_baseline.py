"""The n-gram line of a report."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hanmo.corpora.shards import open_shards, read_shard_report
from hanmo.ngrams.plain import PlainNgrams
from hanmo.stories.ngram_baseline import ngram_baseline
from hanmo.stories.result import PretrainResult


def _documents(ids: np.ndarray, end: int) -> list[list[int]]:
    """Token numbers of each document, behind the three marks."""
    pieces = np.split(ids.astype(np.int64) + 3, np.flatnonzero(ids == end) + 1)
    return [piece[:-1].tolist() for piece in pieces if len(piece) > 1]


def test_it_is_the_plain_model(chinese: PretrainResult) -> None:
    found = chinese.evaluation["ngram"]
    report = read_shard_report(chinese.run / "shards" / "heldout")
    train, heldout = (
        _documents(np.asarray(open_shards(chinese.run / "shards" / side)), report.eot_id)
        for side in ("train", "heldout")
    )
    n_words = json.loads((chinese.run / "run.json").read_text(encoding="utf-8"))["tokenizer"]["vocab_size"] + 3
    plain = PlainNgrams(train, n_words, 5, (0,) * 5)
    bits = -math.log2(10) * sum(sum(plain.log10(document)) for document in heldout)
    assert found["bits_per_byte"] == pytest.approx(bits / report.n_bytes, rel=1e-6)
    assert (found["order"], found["share"]) == (5, 1.0)
    assert found["tokens"] == read_shard_report(chinese.run / "shards" / "train").n_tokens
    assert found["bits_per_byte"] < chinese.evaluation["baselines"]["order0"]


def test_of_a_larger_text_a_part_is_counted(chinese: PretrainResult) -> None:
    vocab_size = json.loads((chinese.run / "run.json").read_text(encoding="utf-8"))["tokenizer"]["vocab_size"]
    part = ngram_baseline(chinese.run, vocab_size=vocab_size, most_tokens=6400)
    assert part["tokens"] == 6400
    assert 0 < part["share"] < 1
    assert part["bits_per_byte"] > chinese.evaluation["ngram"]["bits_per_byte"]


def test_it_is_told_of(chinese: PretrainResult) -> None:
    value = chinese.evaluation["ngram"]["bits_per_byte"]
    assert f"5-gram {value:.3f}" in chinese.summary()
    page = chinese.report.read_text(encoding="utf-8")
    assert "Kneser–Ney 5 元模型" in page
    assert "即全部训练文本，用时" in page
    assert "Kneser–Ney 5" in (chinese.model / "README.md").read_text(encoding="utf-8")
