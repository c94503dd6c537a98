from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.training.schedules import learning_rate, warmup_length
from hanmo.training.settings import ScheduleSettings, TrainingSettings


def make(n_steps: int = 100, **schedule: object) -> TrainingSettings:
    return TrainingSettings(n_steps=n_steps, lr=2.0, schedule=ScheduleSettings(**schedule))


def test_cosine_values_at_start_peak_middle_and_end():
    settings = make(warmup_steps=10, final_fraction=0.1)
    rates = [learning_rate(settings, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == 2.0
    assert rates[60] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rates[-1] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 99 / 100))))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_wsd_is_stable_then_decays_as_one_minus_sqrt():
    settings = make(kind="wsd", warmup_steps=10, decay_fraction=0.25, final_fraction=0.0)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert set(rates[9:76]) == {2.0}
    assert rates[76] == pytest.approx(2.0 * (1 - math.sqrt(1 / 25)))
    assert rates[99] == pytest.approx(2.0 * (1 - math.sqrt(24 / 25)))


def test_inverse_sqrt_knows_no_end():
    settings = make(kind="inverse_sqrt", warmup_steps=10)
    for n_steps in (100, 1000):
        rates = [learning_rate(settings, step, n_steps) for step in range(100)]
        assert rates[:10] == pytest.approx([0.2 * step for step in range(1, 11)])
        assert rates[39] == pytest.approx(1.0)  # a quarter of the way to step 40: 1 / √4
        assert rates[89] == pytest.approx(2.0 / 3)


@given(
    kind=st.sampled_from(["cosine", "wsd", "inverse_sqrt"]),
    n_steps=st.integers(1, 500),
    warmup=st.one_of(st.none(), st.integers(0, 600)),
    final=st.floats(0, 1),
)
@settings(max_examples=60, deadline=None)
def test_rate_stays_between_zero_and_the_peak_and_falls_after_warmup(kind, n_steps, warmup, final):
    recipe = make(n_steps, kind=kind, warmup_steps=warmup, final_fraction=final)
    rates = [learning_rate(recipe, step, n_steps) for step in range(n_steps)]
    assert all(0 < rate <= 2.0 for rate in rates)
    top = warmup_length(recipe, n_steps)
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(rates[top:]))
    assert all(a < b for a, b in itertools.pairwise(rates[:top]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "n_steps or as minutes"),
        ({"n_steps": 5, "minutes": 1}, "n_steps or as minutes"),
        ({"n_steps": 5, "schedule": {"decay_fraction": 0.1}}, "kind = 'wsd'"),
        ({"n_steps": 5, "learning_rate": 0.1}, "unknown key"),
        ({"n_steps": 5, "schedule": {"warmup_fraction": 1.5}}, "warmup_fraction"),
    ],
)
def test_settings_that_cannot_work_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(TrainingSettings, values)
