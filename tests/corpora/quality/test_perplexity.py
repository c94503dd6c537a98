from __future__ import annotations

import math

import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.corpora.quality.perplexity import Bounds, find_bounds, perplexity_problem


def bits(text: str) -> float:
    """A model for which a text is as odd as it is long."""
    return float(len(text))


def test_bounds_are_percentiles_of_each_language() -> None:
    documents = (
        [("好" * n, "zh") for n in range(1, 102)] + [("a" * n, "en") for n in range(201, 302)] + [("x", "other")]
    )
    bounds = find_bounds(documents, bits, percentiles=(5, 90))
    assert bounds == {"zh": Bounds(6.0, 91.0), "en": Bounds(206.0, 291.0)}
    assert perplexity_problem("好" * 6, "zh", bits, bounds) is None
    assert perplexity_problem("好" * 5, "zh", bits, bounds) == "too easy to foresee (perplexity)"
    assert perplexity_problem("好" * 91, "zh", bits, bounds) is None
    assert perplexity_problem("好" * 92, "zh", bits, bounds) == "unlike good text (perplexity)"
    assert perplexity_problem("好" * 92, "en", bits, bounds) == "too easy to foresee (perplexity)"
    assert perplexity_problem("of no bounds", "other", bits, bounds) is None
    assert perplexity_problem("好", "zh", lambda _: math.inf, bounds) == "unlike good text (perplexity)"


def test_what_cannot_be_is_refused() -> None:
    for percentiles in ((50, 50), (-1, 99), (1, 101), (90, 10)):
        with pytest.raises(ConfigError, match="percentiles must ascend"):
            find_bounds([], bits, percentiles=percentiles)
    with pytest.raises(DataError, match="gives no number"):
        find_bounds([("", "zh")], lambda _: math.nan)
    with pytest.raises(DataError, match="gives no number"):
        perplexity_problem("", "zh", lambda _: math.nan, {"zh": Bounds(0, 1)})
