"""What every metric promises: an identical prediction scores 100, a wrong one less, in English and in Chinese."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from hanmo.core.errors import HanmoError
from hanmo.metrics import (
    PerExample,
    approximate_randomisation,
    bleu,
    bootstrap_interval,
    chrf,
    classification_examples,
    cmrc_examples,
    multilabel_examples,
    quadratic_kappa_examples,
    reciprocal_rank_examples,
    regression_examples,
    rouge_scores,
    segmentation_examples,
    span_examples,
    squad_examples,
    ter,
)
from hanmo.metrics.spans import tag_accuracy_examples, tag_macro_f1_examples

Metric = Callable[[Any, Any], PerExample]

EN, EN_WRONG = ["the cat sat on the mat", "it rained all day long"], ["the cat sat on the mat", "it was sunny all day"]
ZH, ZH_WRONG = ["今天天气很好", "我们去公园玩"], ["今天天气很好", "他在家里读书"]
LABELS, LABELS_WRONG = ["pos", "neg", "pos"], ["pos", "pos", "pos"]
LABELS_ZH, LABELS_ZH_WRONG = ["正面", "负面", "正面"], ["正面", "正面", "正面"]
TAGS, TAGS_WRONG = [["B-PER", "I-PER", "O"], ["B-LOC"]], [["B-PER", "O", "O"], ["B-LOC"]]
BMES, BMES_WRONG = [["B-人名", "M-人名", "E-人名"], ["S-地名"]], [["B-人名", "E-人名", "O"], ["S-地名"]]
WORDS, WORDS_WRONG = [["研究", "生命", "起源"]], [["研究生", "命", "起源"]]


def _rouge(kind: str) -> Metric:
    def metric(ours: Any, right: Any) -> PerExample:
        scores = rouge_scores(ours, right, kinds=[kind])
        return scores.examples(next(iter(scores.scores)))

    return metric


def _translation(function: Callable[..., Any], language: str) -> Metric:
    return lambda ours, right: function(ours, right, target_language=language).examples


def _spans(scheme: Any, rule: Any, metric: Any = "f1") -> Metric:
    return lambda ours, right: span_examples(ours, right, scheme=scheme, rule=rule, metric=metric)


def _several(name: Any) -> Metric:
    return lambda ours, right: multilabel_examples(ours, right, labels=["体育", "财经", "科技"], metric=name)


def _numbers(name: Any) -> Metric:
    return lambda ours, right: regression_examples(name, ours, right)


def _classes(name: Any) -> Metric:
    return lambda ours, right: classification_examples(name, ours, right)


CASES: dict[str, tuple[Metric, Any, Any, float]] = {
    # name → (metric, right predictions, a wrong one, what the best score is)
    **{f"{n}-en": (_classes(n), LABELS, LABELS_WRONG, 1.0) for n in ("accuracy", "macro_f1", "weighted_f1", "mcc")},
    **{f"{n}-zh": (_classes(n), LABELS_ZH, LABELS_ZH_WRONG, 1.0) for n in ("accuracy", "macro_f1", "mcc")},
    **{
        f"multilabel-{n}": (_several(n), [["体育"], ["财经", "科技"]], [["体育"], ["财经"]], best)
        for n, best in {"micro_f1": 1.0, "macro_f1": 1.0, "subset_accuracy": 1.0, "hamming_loss": 0.0}.items()
    },
    **{
        n: (_numbers(n), [1.0, 2.0, 3.0], [1.0, 3.0, 2.0], best)
        for n, best in {"pearson": 1.0, "spearman": 1.0, "mean_squared_error": 0.0, "mean_absolute_error": 0.0}.items()
    },
    "kappa": (quadratic_kappa_examples, [0, 1, 2, 2], [0, 1, 2, 1], 1.0),
    "spans-iob2": (_spans("IOB2", "strict"), TAGS, TAGS_WRONG, 1.0),
    **{f"spans-{m}": (_spans("IOB2", "strict", m), TAGS, TAGS_WRONG, 1.0) for m in ("precision", "recall")},
    **{f"spans-{m}-zh": (_spans("BMES", "strict", m), BMES, BMES_WRONG, 1.0) for m in ("macro_f1", "tag_accuracy")},
    "tag-accuracy-zh": (tag_accuracy_examples, [["名词", "动词"], ["副词"]], [["名词", "名词"], ["副词"]], 1.0),
    "tag-macro-f1-zh": (tag_macro_f1_examples, [["名词", "动词"], ["副词"]], [["名词", "名词"], ["副词"]], 1.0),
    "spans-default": (_spans("IOB2", "seqeval-default"), TAGS, TAGS_WRONG, 1.0),
    "spans-conlleval": (_spans("IOB2", "conlleval"), TAGS, TAGS_WRONG, 1.0),
    "spans-bmes-zh": (_spans("BMES", "strict"), BMES, BMES_WRONG, 1.0),
    "segmentation-zh": (segmentation_examples, WORDS, WORDS_WRONG, 1.0),
    "squad-exact-en": (lambda o, r: squad_examples("exact", o, r), EN, EN_WRONG, 100.0),
    "squad-f1-en": (lambda o, r: squad_examples("f1", o, r), EN, EN_WRONG, 100.0),
    "cmrc-exact-zh": (lambda o, r: cmrc_examples("exact", o, r), ZH, ZH_WRONG, 100.0),
    "cmrc-f1-zh": (lambda o, r: cmrc_examples("f1", o, r), ZH, ZH_WRONG, 100.0),
    "cmrc-f1-en": (lambda o, r: cmrc_examples("f1", o, r), EN, EN_WRONG, 100.0),
    **{f"{k}-en": (_rouge(k), EN, EN_WRONG, 1.0) for k in ("rouge1", "rouge2", "rougeL", "rougeLsum")},
    **{f"{k}-zh": (_rouge(k), ZH, ZH_WRONG, 1.0) for k in ("rouge1", "rouge2", "rougeL", "rougeLsum")},
    "bleu-en": (_translation(bleu, "en"), EN, EN_WRONG, 100.0),
    "bleu-zh": (_translation(bleu, "zh"), ZH, ZH_WRONG, 100.0),
    "chrf-en": (_translation(chrf, "en"), EN, EN_WRONG, 100.0),
    "chrf-zh": (_translation(chrf, "zh"), ZH, ZH_WRONG, 100.0),
    "ter-en": (_translation(ter, "en"), EN, EN_WRONG, 0.0),
    "ter-zh": (_translation(ter, "zh"), ZH, ZH_WRONG, 0.0),
    "mrr-zh": (
        lambda ranked, gold: reciprocal_rank_examples(ranked, [items[:1] for items in gold]),
        [["甲", "乙"], ["乙", "甲"]],
        [["甲", "乙"], ["甲", "乙"]],
        1.0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_identical_is_best_and_wrong_is_worse(name):
    metric, right, wrong, best = CASES[name]
    same, other = metric(right, right), metric(wrong, right)
    assert same.value == pytest.approx(best)
    if best == 0.0:
        assert other.value > 0.1
    else:
        assert other.value < 0.99 * best
    assert same.name == other.name
    interval = bootstrap_interval(same, n_resamples=20)
    assert interval.low <= interval.value + 1e-9
    found = approximate_randomisation(same, other, n_resamples=20)
    assert found.a == same.value
    assert 0 < found.p_value <= 1


@pytest.mark.parametrize("name", CASES)
def test_wrong_lengths_and_nothing_are_refused(name):
    metric, right, _, _ = CASES[name]
    with pytest.raises(HanmoError, match=r"\d predictions for \d references"):
        metric(right[:-1], right)
    with pytest.raises(HanmoError, match="nothing to score"):
        metric([], [])


def test_importing_metrics_is_light():
    heavy = ("sklearn", "scipy", "seqeval", "rouge_score", "nltk", "sacrebleu", "torch")
    probe = f"import sys, hanmo.metrics; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
