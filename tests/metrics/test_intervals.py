"""Intervals cover what they should; paired tests are uniform where there is no difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics import (
    PerExample,
    approximate_randomisation,
    bootstrap_interval,
    classification_examples,
    classification_scores,
    holm,
    mean_of,
    multilabel_examples,
    multilabel_scores,
    paired_bootstrap,
    regression_examples,
    regression_scores,
    span_examples,
    span_scores,
)
from hanmo.metrics.intervals import resampled_scores
from hanmo.metrics.spans import tag_accuracy_examples, tag_macro_f1_examples


def test_mean_interval_is_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=2000)
    interval = bootstrap_interval(mean_of(values), n_resamples=2000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert (interval.level, interval.n_examples, interval.n_resamples) == (0.95, 2000, 2000)


def test_same_seed_same_interval():
    metric = mean_of([0.0, 1.0, 1.0, 0.0, 1.0])
    assert bootstrap_interval(metric, seed=3) == bootstrap_interval(metric, seed=3)
    assert (resampled_scores(metric, seed=3) != resampled_scores(metric, seed=4)).any()


def test_sums_and_rows_are_the_same_draws():
    """The product of weights and rows gives what scoring each sample one by one gives."""
    values = np.random.default_rng(1).normal(size=(50, 1))
    fast = mean_of(values[:, 0])
    plain = PerExample("mean", values, lambda rows: np.asarray(rows.mean()), additive=False)
    assert resampled_scores(fast, n_resamples=100) == pytest.approx(resampled_scores(plain, n_resamples=100))
    a, b = plain, PerExample("mean", values + 0.1, plain.score, additive=False)
    fast_b = mean_of(values[:, 0] + 0.1)
    for test in (paired_bootstrap, approximate_randomisation):
        assert test(a, b, n_resamples=100).p_value == test(fast, fast_b, n_resamples=100).p_value


def test_blocks_add_up(monkeypatch):
    from hanmo.metrics import intervals, significance

    a, b = mean_of(np.arange(10.0)), mean_of(np.arange(10.0)[::-1] + 1)
    whole = approximate_randomisation(a, b, n_resamples=99).p_value
    monkeypatch.setattr(intervals, "_CELLS", 25)
    monkeypatch.setattr(significance, "_CELLS", 25)
    assert len(resampled_scores(a, n_resamples=7)) == 7
    assert approximate_randomisation(a, b, n_resamples=99).p_value == whole


def test_metrics_that_are_no_means():
    ours, right = ["好", "坏"] * 30 + ["好"] * 20, ["好", "坏"] * 25 + ["坏"] * 30
    interval = bootstrap_interval(classification_examples("macro_f1", ours, right), n_resamples=200)
    assert 0 < interval.low < interval.value < interval.high < 1
    numbers = np.random.default_rng(2).normal(size=100)
    spearman = bootstrap_interval(regression_examples("spearman", numbers + 1, numbers**3), n_resamples=50)
    assert spearman.low == spearman.high == pytest.approx(1.0)


def test_real_and_no_difference():
    rng = np.random.default_rng(5)
    right = rng.integers(2, size=400)
    good, bad = np.where(rng.random(400) < 0.9, right, 1 - right), np.where(rng.random(400) < 0.75, right, 1 - right)
    a, b = (classification_examples("accuracy", ours, right) for ours in (good, bad))
    for test in (paired_bootstrap, approximate_randomisation):
        found = test(a, b, n_resamples=1000)
        assert found.p_value < 0.01
        assert found.difference == pytest.approx(a.value - b.value)
        assert test(a, a, n_resamples=100).p_value == 1.0
    assert paired_bootstrap(a, b).low > 0  # pyright: ignore[reportOptionalOperand]
    assert approximate_randomisation(a, b, n_resamples=100).low is None


def test_mcnemar_by_another_road():
    """On right and wrong answers, randomisation is the exact test on the pairs that differ: 9 against 1."""
    a, b = mean_of([1.0] * 9 + [0.0] + [1.0] * 50), mean_of([0.0] * 9 + [1.0] + [1.0] * 50)
    exact = stats.binomtest(1, 10).pvalue
    assert approximate_randomisation(a, b, n_resamples=20_000).p_value == pytest.approx(exact, abs=0.003)


def _null_p_values(test, n_simulations: int, n_examples: int, n_resamples: int, seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    found = []
    for simulation in range(n_simulations):
        shared = rng.normal(size=n_examples)  # hard examples are hard for both systems
        a, b = (mean_of(shared + rng.normal(size=n_examples)) for _ in range(2))
        found.append(test(a, b, n_resamples=n_resamples, seed=simulation).p_value)
    return found


@pytest.mark.parametrize("test", [paired_bootstrap, approximate_randomisation])
def test_uniform_under_the_null(test):
    p_values = _null_p_values(test, 100, 100, 199, seed=7)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("test", [paired_bootstrap, approximate_randomisation])
def test_uniform_under_500_nulls(test):
    p_values = _null_p_values(test, 500, 300, 999, seed=11)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.slow
def test_intervals_cover():
    rng = np.random.default_rng(13)
    covered = 0
    for seed in range(500):
        interval = bootstrap_interval(mean_of((rng.random(200) < 0.8).astype(float)), n_resamples=500, seed=seed)
        covered += interval.low <= 0.8 <= interval.high
    assert covered / 500 == pytest.approx(0.95, abs=0.03)


def test_holm():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"only": 0.2}) == {"only": 0.2}
    assert holm({"a": 0.7, "b": 0.9}) == {"a": 1.0, "b": 1.0}
    assert list(holm({"z": 0.5, "a": 0.1})) == ["z", "a"]
    assert holm({}) == {}
    with pytest.raises(ConfigError, match=r"b: 1\.5 is not a p-value"):
        holm({"a": 0.5, "b": 1.5})
    with pytest.raises(ConfigError, match="nan is not a p-value"):
        holm({"a": float("nan")})


def test_bad_input_is_named():
    with pytest.raises(DataError, match=r"mean\[1\]: nan"):
        mean_of([1.0, float("nan")])
    with pytest.raises(DataError, match="no examples"):
        mean_of([])
    with pytest.raises(DataError, match="two dimensions"):
        PerExample("x", np.zeros(3), lambda rows: rows)
    with pytest.raises(ConfigError, match="n_resamples must be at least 1"):
        bootstrap_interval(mean_of([1.0]), n_resamples=0)
    with pytest.raises(ConfigError, match="level must lie between"):
        bootstrap_interval(mean_of([1.0]), level=95)
    with pytest.raises(DataError, match="2 examples, system B on 1"):
        paired_bootstrap(mean_of([1.0, 2.0]), mean_of([1.0]))
    with pytest.raises(DataError, match="different metrics"):
        approximate_randomisation(mean_of([1.0], "em"), mean_of([1.0], "f1"))


def test_every_figure_is_the_one_that_is_told():
    """What intervals are drawn from gives the figures of the functions that tell them all, with scikit-learn behind them."""
    draw = np.random.default_rng(3)
    right = draw.choice(["甲", "乙", "丙", "丁"], 200, p=[0.5, 0.3, 0.15, 0.05]).tolist()
    told = [ours if draw.random() < 0.6 else "甲" for ours in right]
    all_of = classification_scores(told, right)
    for name, value in {
        "accuracy": all_of.accuracy, "macro_f1": all_of.macro.f1, "weighted_f1": all_of.weighted.f1, "mcc": all_of.mcc,
    }.items():  # fmt: skip
        assert classification_examples(name, told, right).value == pytest.approx(value, abs=1e-12)
    sets = [[label for label in "甲乙丙" if draw.random() < 0.4] for _ in right]
    others = [[label for label in "甲乙丙" if (label in one) == (draw.random() < 0.7)] for one in sets]
    several = multilabel_scores(others, sets)
    for name, value in {
        "micro_f1": several.micro.f1, "macro_f1": several.macro.f1, "subset_accuracy": several.subset_accuracy,
        "hamming_loss": several.hamming_loss,
    }.items():  # fmt: skip
        assert multilabel_examples(others, sets, metric=name).value == pytest.approx(value, abs=1e-12)
    numbers = draw.normal(size=200)
    guesses = numbers + draw.normal(size=200)
    errors = regression_scores(guesses, numbers)
    for name in ("mean_squared_error", "mean_absolute_error", "pearson", "spearman"):
        assert regression_examples(name, guesses, numbers).value == pytest.approx(getattr(errors, name), abs=1e-12)
    tags = [[draw.choice(["O", "B-人", "I-人", "B-LOC", "I-LOC"]) for _ in range(8)] for _ in range(50)]
    guessed = [[tag if draw.random() < 0.8 else "O" for tag in sentence] for sentence in tags]
    for rule in ("strict", "seqeval-default"):
        spans = span_scores(guessed, tags, scheme="IOB2", rule=rule)
        for name in ("f1", "precision", "recall", "macro_f1", "tag_accuracy"):
            found = span_examples(guessed, tags, scheme="IOB2", rule=rule, metric=name)
            assert found.value == pytest.approx(getattr(spans, name), abs=1e-12)
            interval = bootstrap_interval(found, n_resamples=50)
            assert interval.low <= found.value <= interval.high
    flat = classification_scores([tag for one in guessed for tag in one], [tag for one in tags for tag in one])
    assert tag_macro_f1_examples(guessed, tags).value == pytest.approx(flat.macro.f1, abs=1e-12)
    assert tag_accuracy_examples(guessed, tags).value == pytest.approx(flat.accuracy, abs=1e-12)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: span_examples([["O"]], [["O"]], scheme="IOB2", metric="f2"),
        lambda: multilabel_examples([["甲"]], [["甲"]], metric="f2"),
        lambda: regression_examples("f2", [1.0, 2.0], [1.0, 2.0]),
        lambda: classification_examples("f2", ["甲"], ["甲"]),
    ],
)
def test_unknown_figures_are_named(ask):
    with pytest.raises(ConfigError, match="unknown metric 'f2'"):
        ask()
