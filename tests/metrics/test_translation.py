"""BLEU, chrF and TER on the vectors of sacrebleu's own tests."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import bleu, chrf, paired_bootstrap, ter

DOG = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
DOG_REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
CAT = ["猫坐在垫子上。", "今天天气很好,我们去公园。"]
CAT_REFERENCES = ["猫坐在席子上。", "今天天气不错,我们去公园吧。"]


def test_readme_of_sacrebleu():
    score = bleu(DOG, DOG_REFERENCES, target_language="en")
    assert score.score == pytest.approx(48.530827009929865, abs=1e-12)
    assert score.signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert bleu(DOG, DOG_REFERENCES, target_language="en", tokenizer="none").score == pytest.approx(49.1919566)
    assert bleu(DOG, DOG_REFERENCES, target_language="en", tokenizer="intl").score == pytest.approx(43.91623493)
    assert chrf(DOG, DOG_REFERENCES, target_language="en").score == pytest.approx(59.72751782684763)
    assert ter(DOG, DOG_REFERENCES, target_language="en").score == pytest.approx(40.0)


def test_no_match_is_not_smoothed_up():
    """sacrebleu#141."""
    assert bleu(["this is a test", "another test"], ["ref1", "ref2"], target_language="en").score == 0.0


def test_floor_smoothing():
    score = bleu(
        ["this is a fest"],
        ["this is a test"],
        target_language="en",
        tokenizer="none",
        smooth="floor",
        smooth_value=0.01,
    )
    assert score.score == pytest.approx(22.3606797749979)


def test_chinese():
    score = bleu(CAT, CAT_REFERENCES, target_language="zh-CN")
    assert score.name == "BLEU"
    assert score.score == pytest.approx(50.73909100873661)
    assert "tok:zh" in score.signature
    others: list[tuple[Any, float]] = [("13a", 0.0), ("intl", 17.677669529663692), ("char", 50.73909100873661)]
    for tokenizer, expected in others:
        forced = bleu(CAT, CAT_REFERENCES, target_language="zh", tokenizer=tokenizer)
        assert forced.score == pytest.approx(expected), tokenizer
    assert chrf(CAT, CAT_REFERENCES, target_language="zh").score == pytest.approx(40.849303891745045)


def test_ter_of_chinese_counts_characters():
    score = ter(["今天天气很好"], ["今天天气不错"], target_language="zh")
    assert score.score == pytest.approx(100 * 2 / 6)
    assert "asian:yes" in score.signature
    assert ter(["今天天气很好"], ["今天天气很好"], target_language="zh").score == 0.0


def test_references_may_differ_in_number():
    score = bleu(DOG, [DOG_REFERENCES[0], DOG_REFERENCES[1][0], DOG_REFERENCES[2]], target_language="en")
    assert 0 < score.score < 48.6
    assert "nrefs:var" in score.signature


def test_sentences_and_examples():
    for function in (bleu, chrf, ter):
        score = function(DOG, DOG_REFERENCES, target_language="en")
        assert score.examples.value == pytest.approx(score.score)
        assert len(score.sentence_scores) == len(score.examples) == 3
        for sentence, references, expected in zip(DOG, DOG_REFERENCES, score.sentence_scores, strict=True):
            if function is not bleu:
                assert function([sentence], [references], target_language="en").score == pytest.approx(expected)
    assert bleu(["猫坐"], ["猫坐"], target_language="zh").sentence_scores == pytest.approx((100.0,))


def test_two_systems():
    system = bleu(CAT * 20, CAT_REFERENCES * 20, target_language="zh")
    worse = bleu(["狗跑了。", "今天天气很好,我们去公园。"] * 20, CAT_REFERENCES * 20, target_language="zh")
    test = paired_bootstrap(system.examples, worse.examples, n_resamples=200)
    assert test.difference == pytest.approx(system.score - worse.score)
    assert test.p_value < 0.05
    with pytest.raises(DataError, match="different metrics"):
        paired_bootstrap(system.examples, bleu(CAT * 20, CAT_REFERENCES * 20, target_language="ja").examples)


@pytest.mark.parametrize(
    ("ours", "right", "options", "error", "message"),
    [
        (["x"], ["x", "y"], {}, DataError, "1 predictions for 2"),
        ([], [], {}, DataError, "nothing to score"),
        ([None], ["x"], {}, DataError, r"predictions\[0\]: None"),
        (["x"], [[]], {}, DataError, r"references\[0\]"),
        (["猫"], ["猫坐在垫子上"], {}, DataError, "100% of the references is Chinese"),
        (["x"], ["x"], {"target_language": "Chinese (simplified)"}, ConfigError, "not a language code"),
        (["x"], ["x"], {"tokenizer": "moses"}, ConfigError, "unknown tokenizer"),
        (["x"], ["x"], {"smooth": "more"}, ConfigError, "unknown smoothing"),
    ],
)
def test_bad_input_is_named(ours, right, options, error, message):
    with pytest.raises(error, match=message):
        bleu(ours, right, **{"target_language": "en", **options})


def test_no_words_in_chinese_for_chrf():
    assert chrf(DOG, DOG_REFERENCES, target_language="en", word_order=2).name == "chrF2++"
    with pytest.raises(ConfigError, match="chrF\\+\\+ counts words"):
        chrf(CAT, CAT_REFERENCES, target_language="zh", word_order=2)


def test_known_scores(data_root):
    """The 36 BLEU, chrF and TER cases that sacrebleu's tests hold."""
    cases = json.loads((data_root / "metric_vectors" / "known_scores.json").read_text(encoding="utf-8"))
    n_checked = 0
    for case in cases:
        given, ours = case["params"], case["hypotheses"]
        right = [list(texts) for texts in zip(*case["references"], strict=True)]
        if case["metric"] == "bleu":
            options = {"tokenizer": given["tokenize"], "smooth": given.get("smooth_method", "exp")}
            score = bleu(ours, right, target_language="en", **options)
        elif case["metric"] == "chrf":
            names = ("char_order", "word_order", "beta", "eps_smoothing")
            options = {name: given[name] for name in names if name in given}
            options["whitespace"] = not given.get("remove_whitespace", True)
            score = chrf(ours, right, target_language="de", **options)
        elif case["metric"] == "ter":
            score = ter(ours, right, target_language="de")
        else:
            continue
        n_checked += 1
        assert score.score == pytest.approx(case["score"], abs=case["tolerance"]), case
        if given.get("level") == "sentence":
            assert score.sentence_scores == pytest.approx((case["score"],), abs=case["tolerance"])
    assert n_checked == 36


def test_known_orders(data_root):
    """The 7 cases of BLEU-1 to 4 that nlg-eval's tests hold: from the counts that intervals are drawn from.

    The other cases of these files are of metrics that are not here (METEOR, CIDEr), or of other definitions of ROUGE than
    Google's (nlg-eval's ROUGE-L with beta 1.2, sets of words in pltrdy/rouge).
    """
    cases = json.loads((data_root / "metric_vectors" / "known_scores.json").read_text(encoding="utf-8"))
    chosen = [case for case in cases if case["metric"].startswith("Bleu_")]
    assert len(chosen) == 7
    for case in chosen:
        right = [list(texts) for texts in zip(*case["references"], strict=True)]
        found = bleu(case["hypotheses"], right, target_language="en", tokenizer="none", smooth="none")
        n_ours, n_right, *counts = found.examples.rows.sum(axis=0).tolist()
        orders = range(int(case["metric"][-1]))
        brevity = min(1.0, math.exp(1 - n_right / n_ours))
        score = brevity * math.exp(sum(math.log(counts[n] / counts[4 + n]) for n in orders) / len(orders))
        assert score == pytest.approx(case["score"], abs=case["tolerance"]), case


def test_mteval_output(data_root):
    """WMT 2015 English to Russian: 0.2318, 1998 and 1862 words by mteval-v13a; 23.17 by multi-bleu.perl."""
    folder = data_root / "metric_vectors" / "wmt15_eval"
    ours, right = (
        re.findall(r"<seg[^>]*>\s*(.*?)\s*</seg>", (folder / name).read_text(encoding="utf-8"))
        for name in ("newstest2015-100sents-enru-google.ru.sgm", "newstest2015-100sents-enru-ref.ru.sgm")
    )
    score = bleu(ours, right, target_language="ru")
    assert score.score == pytest.approx(23.18, abs=0.005)
    assert score.examples.rows.sum(axis=0)[:2].tolist() == [1998, 1862]
    ours, right = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("google.ru", "ref.ru"))
    assert bleu(ours, right, target_language="ru", tokenizer="none").score == pytest.approx(23.17, abs=0.005)
