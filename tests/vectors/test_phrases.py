"""Phrases: the score by its formula, joined text against joined sentences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors import phrases as module
from hanmo.vectors.phrases import find_phrases


def sentences(seed: int = 0) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    others = [f"w{number}" for number in range(40)]
    found = []
    for _ in range(400):
        words = [str(word) for word in rng.choice(others, 6)]
        words[2:2] = [["new", "york"], ["机器", "学习"], ["new"]][rng.integers(3)]
        found.append(words)
    return found


def lists_of(text: WordIds) -> list[list[str]]:
    starts = [0, *text.ends[:-1]]
    return [[text.words[i] for i in text.ids[a:b]] for a, b in zip(starts, text.ends, strict=True)]


@pytest.mark.parametrize("block", [7, 2**22])
def test_scores_by_the_formula(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    text = read_word_ids(sentences())
    found = find_phrases(text, min_count=3, threshold=5)
    assert next(iter(found.scores)) == ("机器", "学习")
    assert set(found.scores) == {("new", "york"), ("机器", "学习")}
    count = dict(zip(text.words, text.counts, strict=True))
    together = sum(list(itertools.pairwise(line)).count(("new", "york")) for line in sentences())
    expected = (together - 3) / (count["new"] * count["york"]) * sum(count.values())
    assert found.scores["new", "york"] == pytest.approx(expected)


def join_sentence(words: list[str], phrases: module.Phrases) -> list[str]:
    """By the definition, word by word."""
    joined: list[str] = []
    last: str | None = None  # the word that may still become the first of a pair
    for word in words:
        if last is not None and (last, word) in phrases.scores:
            joined[-1] = phrases.joiner.join((last, word))
            last = None
        else:
            joined.append(word)
            last = word
    return joined


def test_joined_text_is_joined_sentences() -> None:
    text = read_word_ids(sentences())
    found = find_phrases(text, min_count=3, threshold=5, joiner="")
    joined = found.join(text)
    expected = [join_sentence(line, found) for line in sentences()]
    assert lists_of(joined) == expected
    assert any("机器学习" in line for line in expected)
    again = read_word_ids(expected)
    assert joined.words == again.words
    assert joined.counts.tolist() == again.counts.tolist()
    assert joined.ends.tolist() == again.ends.tolist()
    others = sentences(seed=1)[:50]
    assert lists_of(found.join(read_word_ids(others))) == [join_sentence(line, found) for line in others]


def test_pairs_do_not_go_over_ends_and_are_joined_from_the_left() -> None:
    text = read_word_ids([["a", "b", "a", "b", "b", "a"], ["b", "a"], [], ["b"]])
    found = find_phrases(text, min_count=1, threshold=0.1)
    assert ("a", "b") in found.scores
    only = module.Phrases({("a", "b"): 1.0, ("b", "a"): 1.0}, "_")
    assert lists_of(only.join(text)) == [["a_b", "a_b", "b_a"], ["b_a"], [], ["b"]]
    assert only.join(text).words == ("a_b", "b_a", "b")


def test_places_of_unknown_words_stay() -> None:
    text = read_word_ids([["a", "x", "b", "a", "b"]], vocabulary=["a", "b"], keep_unknown=True)
    joined = module.Phrases({("a", "b"): 1.0}, "_").join(text)
    assert joined.ids.tolist() == [0, -1, 1, 2]
    assert joined.words == ("a", "b", "a_b")
    assert find_phrases(text, min_count=1).scores == {}


def test_nothing_to_find() -> None:
    with pytest.raises(ConfigError, match="min_count must be"):
        find_phrases(read_word_ids(["a b"]), min_count=0)
    with pytest.raises(DataError, match="no words"):
        find_phrases(read_word_ids(["a"], vocabulary=["b"]))
    assert find_phrases(read_word_ids(["a"])).scores == {}
