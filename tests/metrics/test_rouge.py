"""ROUGE: Google's figures on English, figures at all on Chinese."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import rouge_scores
from hanmo.metrics.units import share_of_han, units_of

FOX, LOG = "The quick brown fox jumps over the lazy dog", "The quick brown dog jumps on the log."


def test_google_vector():
    scores = rouge_scores([LOG], [FOX], stem=True).scores
    assert scores["rouge1"].f1 == pytest.approx(0.7058823529411765, abs=1e-15)
    assert scores["rouge2"].f1 == pytest.approx(0.26666666666666666, abs=1e-15)
    assert scores["rougeL"].f1 == pytest.approx(0.5882352941176471, abs=1e-15)


def test_googles_own_tests():
    one = rouge_scores(["testing"], ["testing one two"], kinds=["rouge1"]).scores["rouge1"]
    assert (one.precision, one.recall, one.f1) == pytest.approx((1.0, 1 / 3, 1 / 2))
    two = rouge_scores(["testing one"], ["testing one two"]).scores
    assert two["rougeL"].f1 == pytest.approx(4 / 5)
    assert two["rouge2"].f1 == pytest.approx(2 / 3)


def test_chinese_by_character():
    same = rouge_scores(["今天天气很好"], ["今天天气很好"]).scores
    assert set(same) == {f"{kind}-zh-char" for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum")}
    assert all(score.f1 == 1.0 for score in same.values())
    other = rouge_scores(["今天天气很好"], ["今天天气不错"]).scores
    assert other["rouge1-zh-char"].f1 == pytest.approx(2 / 3)
    assert other["rouge2-zh-char"].f1 == pytest.approx(0.6)
    assert other["rougeL-zh-char"].f1 == pytest.approx(2 / 3)


def test_swapped_sentences():
    """rougeLsum compares line by line, rougeL and a text on one line as a whole."""
    ours, right = ["a b c\nd e f g h i"], ["d e f g h i\na b c"]
    scores = rouge_scores(ours, right).scores
    assert scores["rougeL"].f1 == pytest.approx(6 / 9)
    assert scores["rougeLsum"].f1 == 1.0
    flat = rouge_scores([ours[0].replace("\n", " ")], [right[0].replace("\n", " ")]).scores
    assert flat["rougeL"].f1 == flat["rougeLsum"].f1 == pytest.approx(2 / 3)
    zh = rouge_scores(["雨停了\n太阳出来照大地"], ["太阳出来照大地\n雨停了"]).scores
    assert zh["rougeLsum-zh-char"].f1 == 1.0
    assert zh["rougeL-zh-char"].f1 == pytest.approx(7 / 10)


def test_several_references_take_the_best_and_examples_the_mean():
    scores = rouge_scores(["a b", "x"], [["q", "a b"], "y"], kinds=["rouge1"])
    assert scores.scores["rouge1"].f1 == 0.5
    assert scores.examples("rouge1").value == 0.5
    assert scores.per_example["rouge1"].shape == (2, 3)
    with pytest.raises(ConfigError, match="no scores named"):
        scores.examples("rouge1-zh-char")


@settings(max_examples=30)
@given(st.text(st.sampled_from("abcABC d'-_.,19\n"), max_size=30), st.text(st.sampled_from("abc d.'"), max_size=20))
def test_english_is_googles(ours, right):
    for stem in (False, True):
        script, google = (
            rouge_scores([ours], [right], stem=stem, tokenizer=tokenizer).scores for tokenizer in ("script", "english")
        )
        assert script == google


def test_the_english_tokenizer_is_refused_on_chinese():
    with pytest.raises(ConfigError, match="would drop 100% of the letters"):
        rouge_scores(["今天天气很好"], ["今天天气很好"], tokenizer="english")
    few = "a long English sentence about 北京 and nothing else"
    assert rouge_scores([few], [few], tokenizer="english").scores["rouge1"].f1 == 1.0


def test_units():
    assert units_of("我用GPT-4写了3.5万字，naïve_Über!") == [
        "我", "用", "gpt", "4", "写", "了", "3", "5", "万", "字", "naïve", "über",
    ]  # fmt: skip
    assert units_of("カタカナ") == list("カタカナ")
    assert units_of("cafe\u0301 x") == ["cafe\u0301", "x"]
    assert share_of_han("北京ab") == 0.5
    assert share_of_han("，。") == 0.0


@pytest.mark.parametrize(
    ("ours", "right", "options", "error", "message"),
    [
        (["x"], ["x", "y"], {}, DataError, "1 predictions for 2"),
        ([], [], {}, DataError, "nothing to score"),
        ([None], ["x"], {}, DataError, r"predictions\[0\]: None"),
        (["x"], [[]], {}, DataError, r"references\[0\]"),
        ("xy", ["x", "y"], {}, DataError, "one text"),
        (["x"], ["x"], {"kinds": ["rouge0"]}, ConfigError, "unknown kind 'rouge0'"),
        (["x"], ["x"], {"tokenizer": "jieba"}, ConfigError, "unknown tokenizer"),
    ],
)
def test_bad_input_is_named(ours, right, options, error, message):
    with pytest.raises(error, match=message):
        rouge_scores(ours, right, **options)


def test_empty_prediction_scores_nothing():
    assert rouge_scores([""], ["今天"]).scores["rouge1-zh-char"].f1 == 0.0
