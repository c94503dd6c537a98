from __future__ import annotations

import pytest

from hanmo.training.direction import is_lower_better


@pytest.mark.parametrize(
    "name",
    ["loss", "error", "mood_error", "mood error", "perplexity", "hamming_loss", "mean_squared_error", "mean_absolute_error", "ece",
     "ece_uncalibrated", "ter"],
)  # fmt: skip
def test_small_is_good(name: str) -> None:
    assert is_lower_better(name)


@pytest.mark.parametrize(
    "name", ["accuracy", "f1", "macro_f1", "mcc", "spearman", "bleu", "chrf", "names f1", "exact", "mrr", "letter"]
)
def test_large_is_good(name: str) -> None:
    assert not is_lower_better(name)
