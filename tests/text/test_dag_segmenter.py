"""The segmenters that are read: the best path against all paths, Viterbi against all tags, figures on real text."""

from __future__ import annotations

import gzip
import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import DataError, FormatError
from hanmo.metrics.segmentation import segmentation_scores
from hanmo.text.dag_segmenter import DagSegmenter
from hanmo.text.hmm_segmenter import HmmSegmenter
from hanmo.text.segment import segment

SENTENCES = [line.split() for line in ("我们 在 北京 大学", "北京大学 的 学生 在 学习", "他们 爱 学习", "大学生 来 了")]
COUNTS = {"北京": 40, "大学": 30, "北京大学": 20, "大学生": 10, "生": 5, "学": 3}
ALPHABET = st.text(st.sampled_from("我们北京大学生的在爱"), max_size=7)


def _ways(text: str) -> list[list[str]]:
    """All ways to cut a text."""
    if not text:
        return [[]]
    return [[text[:end], *rest] for end in range(1, len(text) + 1) for rest in _ways(text[end:])]


@given(ALPHABET)
@settings(max_examples=50)
def test_the_path_is_the_most_probable_of_all(text: str) -> None:
    total = math.log(sum(COUNTS.values()))

    def score(words: list[str]) -> float:
        # a character that begins no word may stand by itself, as if it were there once
        free = [len(word) == 1 and not any(text.startswith(known, at) for known in COUNTS) for word, at in _at(words)]
        if not all(word in COUNTS or is_free for word, is_free in zip(words, free, strict=True)):
            return -math.inf
        return sum(math.log(COUNTS.get(word, 1)) - total for word in words)

    found = DagSegmenter(COUNTS).path(text)
    best = max(map(score, _ways(text)))
    assert best == -math.inf or score(found) == pytest.approx(best)
    assert "".join(found) == text


def _at(words: list[str]) -> list[tuple[str, int]]:
    starts = itertools.accumulate(map(len, words), initial=0)
    return list(zip(words, starts, strict=False))


@given(st.text(st.sampled_from("我们北京大学生的在爱"), min_size=1, max_size=5))
@settings(max_examples=30)
def test_viterbi_finds_the_best_of_all_tags(text: str) -> None:
    hmm = HmmSegmenter.train(SENTENCES)

    def score(tags: str) -> float:
        total = hmm._start.get(tags[0], -math.inf)
        for number, (tag, character) in enumerate(zip(tags, text, strict=True)):
            total += hmm._emissions.get(character, hmm._unknown)["BMES".index(tag)]
            if number:
                total += dict(hmm._arcs[tag]).get(tags[number - 1], -math.inf)
        return total if tags[-1] in "ES" else -math.inf

    best = max(score("".join(tags)) for tags in itertools.product("BMES", repeat=len(text)))
    found = hmm.tag(text)
    assert score(found) == pytest.approx(best)
    assert "".join(hmm.cut(text)) == text


def test_the_graph() -> None:
    assert DagSegmenter(COUNTS).graph("北京大学生了") == [[2, 4], [2], [4, 5], [4], [5], [6]]


def test_other_text_is_cut_as_everywhere() -> None:
    segmenter = DagSegmenter.train(SENTENCES)
    assert segmenter.segment("我们 don't go, 北京大学！") == ["我们", "don't", "go", ",", "北京大学", "！"]
    assert segmenter.segment("") == []


def test_new_words_come_from_the_markov_model() -> None:
    segmenter = DagSegmenter.train(SENTENCES)
    assert DagSegmenter(segmenter.counts).cut("她们在") == ["她", "们", "在"]
    assert segmenter.cut("她们在") == ["她们", "在"]


def test_kept_on_disk(tmp_path: Path) -> None:
    segmenter = DagSegmenter.train(SENTENCES)
    segmenter.save(tmp_path / "s.json")
    loaded = DagSegmenter.load(tmp_path / "s.json")
    assert loaded.counts == segmenter.counts
    for text in ("她们在北京大学", "学生爱了"):
        assert loaded.cut(text) == segmenter.cut(text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"format": "other"}',
        '{"format": "hanmo-dag-segmenter-1"}',
        '{"format": "hanmo-dag-segmenter-1", "counts": {"好": 1}, "hmm": {"transitions": 3}}',
    ],
)
def test_another_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError):
        DagSegmenter.load(tmp_path / "s.json")


@pytest.mark.parametrize("counts", [{}, {"好": 0}, {"": 3}])
def test_no_dictionary(counts: dict[str, int]) -> None:
    with pytest.raises(DataError):
        DagSegmenter(counts)


def test_nothing_to_learn() -> None:
    with pytest.raises(DataError):
        HmmSegmenter.train([[]])


def test_on_news(data_root: Path) -> None:
    """Trained on four fifths of a small set, read on half of the rest; jieba follows another standard."""
    with gzip.open(data_root / "sighan2005_msr_cws" / "msr_test_gold.utf8.gz", "rt", encoding="utf-8") as file:
        lines = [words for line in file if (words := line.split())]
    cut = len(lines) * 4 // 5
    train, held_out = lines[:cut], lines[cut::2]
    texts = ["".join(words) for words in held_out]
    segmenter = DagSegmenter.train(train)
    known = set(segmenter.counts)
    ours = segmentation_scores([segmenter.segment(text) for text in texts], held_out, known_words=known)
    dictionary_only = DagSegmenter(segmenter.counts)
    path = segmentation_scores([dictionary_only.segment(text) for text in texts], held_out, known_words=known)
    jieba = segmentation_scores([segment(text) for text in texts], held_out)
    assert ours.f1 > 0.85
    assert ours.f1 > path.f1 + 0.01
    assert ours.f1 > jieba.f1
    assert (ours.unknown_recall or 0) > 2 * (path.unknown_recall or 0)
