"""Chinese word segmentation scored by words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import DataError
from hanmo.metrics import segmentation_examples, segmentation_scores, words_of_tags


def test_by_hand():
    ours, right = [["研究生", "命", "起源"]], [["研究", "生命", "起源"]]
    scores = segmentation_scores(ours, right, known_words={"研究", "起源"})
    assert (scores.precision, scores.recall, scores.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert scores.n_words == 3
    assert scores.unknown_recall == 0.0
    assert scores.known_recall == 0.5
    assert segmentation_examples(ours, right).value == pytest.approx(1 / 3)
    assert segmentation_scores(ours, right).unknown_recall is None


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ("B E S B M E", "今天 好 大家庭"),
        ("S S S S S S", "今 天 好 大 家 庭"),
        ("M M E M S B", "今天好 大 家 庭"),  # breaks the scheme, and still cuts everything
        ("B B B E E S", "今 天 好大 家 庭"),
    ],
)
def test_words_of_tags(tags, words):
    assert words_of_tags("今天好大家庭", tags.split()) == words.split()


@settings(max_examples=40)
@given(st.lists(st.sampled_from("BMES"), min_size=1, max_size=12))
def test_no_character_is_lost(tags):
    characters = "天地玄黄宇宙洪荒日月盈昃"[: len(tags)]
    words = words_of_tags(characters, tags)
    assert "".join(words) == characters
    scores = segmentation_scores([words], [words])
    assert scores.f1 == 1.0


@pytest.mark.parametrize(
    ("ours", "right", "message"),
    [
        ([["今天"]], [["今", "日"]], r"predictions\[0\]: the words spell another text"),
        ([["今天", ""]], [["今天"]], "a word is empty"),
        (["今天"], [["今天"]], "a text where a list of words belongs"),
        ([["今天"]], [["今天"], ["好"]], "1 predictions for 2"),
        ([], [], "nothing to score"),
        ([[1]], [["1"]], "not a text"),
    ],
)
def test_bad_input_is_named(ours, right, message):
    with pytest.raises(DataError, match=message):
        segmentation_scores(ours, right)


def test_bad_tags_are_named():
    with pytest.raises(DataError, match="2 tags for 1 characters"):
        words_of_tags("今", ["B", "E"])
    with pytest.raises(DataError, match=r"tags\[1\]: the tag O means no word"):
        words_of_tags("今天", ["S", "O"])
    with pytest.raises(DataError, match=r"tags\[0\]: 'I' is not a tag of BMES"):
        words_of_tags("今", ["I"])
