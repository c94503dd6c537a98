"""SQuAD's and CMRC's exact match and F1 on the vectors of their scripts."""

from __future__ import annotations

import gzip
import json

import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import (
    best_no_answer_threshold,
    cmrc_exact,
    cmrc_examples,
    cmrc_f1,
    cmrc_scores,
    squad_exact,
    squad_examples,
    squad_f1,
    squad_scores,
)
from hanmo.metrics.answers import normalize_answer


@pytest.mark.parametrize(
    ("prediction", "answer", "exact", "f1"),
    [
        ("in the year 1066", "1066", 0, 0.5),
        ("a b c d", "b c x", 0, 2 / 3),  # the article is dropped
        ("", "", 1, 1),
        ("", "x", 0, 0),
        ("x", "", 0, 0),
        ("北京大学", "北京 大学", 0, 0),  # why it must not be used on Chinese
        ("The  Eiffel-Tower!", "eiffeltower", 1, 1),
    ],
)
def test_squad_script(prediction, answer, exact, f1):
    assert squad_exact(prediction, [answer]) == exact
    assert squad_f1(prediction, [answer]) == pytest.approx(f1)


def test_the_versions_differ_where_nothing_is_left():
    assert squad_f1("the", ["a"], version="2.0") == 1.0
    assert squad_f1("the", ["a"], version="1.1") == 0.0
    assert squad_exact("the", ["a"]) == 1.0
    assert normalize_answer("An apple, a  day!") == "apple day"


def test_no_answer():
    scores = squad_scores(["", "Paris", "Rome", ""], [[], [], ["Rome", "the city of Rome"], ["Oslo"]])
    assert scores.n == 4
    assert scores.exact == 50.0
    assert scores.f1 == 50.0
    assert scores.with_answer == (50.0, 50.0)
    assert scores.without_answer == (50.0, 50.0)
    # as the official script, an answer of nothing but an article is no answer
    assert squad_scores([""], [["the"]]).without_answer == (100.0, 100.0)
    assert squad_scores(["x"], ["x"]).without_answer is None


def test_best_of_several_answers():
    scores = squad_scores(["the city of Rome"], [["Rome", "city Rome"]], version="1.1")
    assert scores.exact == 0.0
    assert scores.f1 == pytest.approx(80.0)
    assert scores.average == pytest.approx(40.0)
    assert squad_examples("f1", ["the city of Rome"], [["Rome", "city Rome"]]).value == pytest.approx(80.0)
    assert squad_examples("exact", ["Rome"], ["Rome"]).value == 100.0


@pytest.mark.parametrize(
    ("ours", "right", "options", "error", "message"),
    [
        (["x"], ["x", "y"], {}, DataError, "1 predictions for 2"),
        ([], [], {}, DataError, "nothing to score"),
        ([None], ["x"], {}, DataError, r"predictions\[0\]: None"),
        (["x"], [3], {}, DataError, r"references\[0\]: 3"),
        (["x"], [["y", None]], {}, DataError, r"references\[0\]\[1\]: None"),
        (["x"], [[]], {"version": "1.1"}, DataError, r"references\[0\]: this example has no reference"),
        (["x"], ["x"], {"version": "3"}, ConfigError, "unknown version"),
        (["北京"], ["北京大学"], {}, DataError, "cmrc_scores"),
    ],
)
def test_bad_input_is_named(ours, right, options, error, message):
    with pytest.raises(error, match=message):
        squad_scores(ours, right, **options)


def test_threshold_for_no_answer():
    scores, has_answer = [1.0, 0.5, 0.0, 0.0], [True, True, False, False]
    best = best_no_answer_threshold(scores, has_answer, [0.1, 0.2, 0.8, 0.9])
    assert best.threshold == 0.2
    assert best.score == pytest.approx(3.5 / 4)
    # equal probabilities: to answer the good question is to answer the bad ones too
    tied = best_no_answer_threshold(scores, has_answer, [0.5, 0.5, 0.5, 0.5])
    assert tied.threshold < 0.5
    assert tied.score == 0.5
    assert best_no_answer_threshold([1.0], [True], [0.9]).threshold == 0.9
    with pytest.raises(DataError, match=r"outside 0\.\.1"):
        best_no_answer_threshold([50.0], [True], [0.1])
    with pytest.raises(DataError, match=r"no_answer_probabilities\[0\]: nan"):
        best_no_answer_threshold([0.5], [True], [float("nan")])


@pytest.mark.parametrize(
    ("prediction", "answer", "exact", "f1"),
    [
        ("1999年8月", "1999年", 0, 2 / 3),
        ("刘备、关羽、张飞", "关羽张飞", 0, 0.8),
        ("北京大学。", "北京大学", 1, 1),
        ("GPT-2 模型", "gpt2模型", 0, 1),  # the space stays for exact match
        ("大北学京", "北京大学", 0, 0.25),  # the same characters in another order share a run of one
        ("", "北京", 0, 0),
        ("好……", "好", 0, 2 / 4),  # the script's …… never matches: two marks stay
    ],
)
def test_cmrc_script(prediction, answer, exact, f1):
    assert cmrc_exact(prediction, [answer]) == exact
    assert cmrc_f1(prediction, [answer]) == pytest.approx(f1)


def test_cmrc_over_questions():
    scores = cmrc_scores(["1999年8月", "张飞"], [["1999年"], ["关羽", "张飞"]])
    assert scores.exact == 50.0
    assert scores.f1 == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert scores.average == pytest.approx((scores.exact + scores.f1) / 2)
    assert cmrc_examples("f1", ["1999年8月"], ["1999年"]).value == pytest.approx(200 / 3)
    with pytest.raises(DataError, match=r"references\[0\]: this example has no reference"):
        cmrc_scores(["x"], [[]])
    with pytest.raises(ConfigError, match="unknown metric"):
        cmrc_examples("bleu", ["x"], ["x"])  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def cmrc_answers(data_root) -> list[list[str]]:
    data = json.loads(gzip.decompress((data_root / "cmrc2018" / "cmrc2018_dev.json.gz").read_bytes()))["data"]
    paragraphs = [paragraph for article in data for paragraph in article["paragraphs"]]
    assert len(paragraphs) == 848
    return [[answer["text"] for answer in qa["answers"]] for paragraph in paragraphs for qa in paragraph["qas"]]


def test_cmrc_development_set(cmrc_answers):
    assert len(cmrc_answers) == 3219
    whole = cmrc_scores([answers[0] for answers in cmrc_answers], cmrc_answers)
    assert (whole.exact, whole.f1) == (100.0, 100.0)
    half = [answers[0][: max(1, len(answers[0]) // 2)] for answers in cmrc_answers]
    scores = cmrc_scores(half, cmrc_answers)
    assert scores.f1 == pytest.approx(57.4705, abs=5e-5)
    assert scores.exact == pytest.approx(0.8388, abs=5e-5)


@pytest.mark.slow
def test_cmrc_with_the_tokenizer_of_nltk(cmrc_answers):
    """nltk keeps 3.14 and 10,000 whole: answers cut inside a number lose the run that the stand-in still sees."""
    nltk = pytest.importorskip("nltk.tokenize", reason="nltk is not installed")
    half = [answers[0][: max(1, len(answers[0]) // 2)] for answers in cmrc_answers]
    split = nltk.NLTKWordTokenizer().tokenize
    assert cmrc_scores(half, cmrc_answers, split=split).f1 == pytest.approx(56.7783, abs=5e-5)
    assert cmrc_f1("364", ["364.6公里"]) > 0
    assert cmrc_f1("364", ["364.6公里"], split=split) == 0.0
