import math

import pytest

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.generation.settings import GenerationSettings


def make(**values):
    return check_settings(GenerationSettings, values)


def test_defaults_are_greedy_and_change_nothing():
    settings = make()
    assert settings.temperature == 0.0
    assert (settings.top_k, settings.top_p, settings.min_p, settings.repetition_penalty, settings.n) == (
        0,
        1.0,
        0.0,
        1.0,
        1,
    )


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("max_new_tokens", (0, -1, 2**31, 2**63, 1.5, "many", True, None), (1, 1_000_000)),
        ("temperature", (-0.1, 1e-9, 101, math.nan, math.inf, True), (0, -0.0, 1e-4, 1, 100)),
        ("top_k", (-1, 2**31, 2**63, 0.5, True), (0, 1, 2**31 - 1)),
        ("top_p", (0, -0.1, 1.1, math.nan), (1e-9, 1)),
        ("min_p", (-0.1, 1, math.nan), (0, 0.999)),
        ("repetition_penalty", (0, -1, 101, math.nan), (0.1, 1, 100)),
        ("seed", (-1, 2**63, 0.5, True), (None, 0, 2**63 - 1)),
        ("stop", (("",), ("x",) * 17, ("x" * 1001,), 3), ((), "\n", ("。", "\n\n"))),
        ("n", (0, 129, True), (1, 128)),
    ],
)
def test_every_field_is_checked_and_named(field, bad, good):
    for value in bad:
        with pytest.raises(ConfigError, match=field):
            make(**{field: value})
    for value in good:
        make(**{field: value})


def test_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        make(temprature=1.0)


def test_one_stop_string_is_not_taken_for_its_letters():
    assert make(stop="句号。").stop == ("句号。",)
